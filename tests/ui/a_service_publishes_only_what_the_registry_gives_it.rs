use bloodbank::Bus;
use bloodbank::events::{services, theboard};

async fn publish(bus: &Bus, event: &theboard::MeetingStarted) {
    let publisher = bus.publisher::<services::LlmCollector>();
    let _ = publisher.publish(event).await;
}

fn main() {
    let _ = publish;
}
