use bloodbank::Bus;
use bloodbank::events::{services, theboard};

async fn send(bus: &Bus, event: &theboard::MeetingStarted) {
    let publisher = bus.publisher::<services::Any>();
    let _ = publisher.send(event).await;
}

fn main() {
    let _ = send;
}
