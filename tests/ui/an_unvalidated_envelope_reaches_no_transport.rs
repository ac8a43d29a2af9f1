use bloodbank::{Bus, Envelope, Headers, Validated};

async fn publish(bus: &Bus, envelope: Envelope) {
    let _ = bus.transport().publish(envelope, Headers::new()).await;
}

fn forge(envelope: Envelope) -> Validated<Envelope> {
    Validated::new(envelope, bloodbank::Kind::Event, bloodbank::uuid::Uuid::nil())
}

fn main() {
    let _ = (publish, forge);
}
