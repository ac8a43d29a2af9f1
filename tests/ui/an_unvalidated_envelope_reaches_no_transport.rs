use bloodbank::{Bus, Encoded, Envelope, Headers, Validated};

async fn publish(bus: &Bus, envelope: Envelope) {
    let _ = bus.transport().publish(envelope).await;
}

fn encode(envelope: Envelope) -> Encoded {
    Encoded::new(envelope, Headers::new()).unwrap()
}

fn forge(envelope: Envelope) -> Validated<Envelope> {
    Validated::new(envelope, bloodbank::Kind::Event, bloodbank::uuid::Uuid::nil())
}

fn main() {
    let _ = (publish, encode, forge);
}
