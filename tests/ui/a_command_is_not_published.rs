use bloodbank::Bus;
use bloodbank::events::{github, services};

async fn publish(bus: &Bus, command: &github::MergePullRequest) {
    let publisher = bus.publisher::<services::Any>();
    let _ = publisher.publish(command).await;
}

fn main() {
    let _ = publish;
}
