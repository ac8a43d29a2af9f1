use bloodbank::events::{github, services};
use bloodbank::{Bus, Received};

async fn calls(bus: &Bus, merge: &github::MergePullRequest) {
    let publisher = bus.publisher::<services::AgentFeedbackRouter>();
    let _: Result<String, _> = publisher.call(merge).await;
}

fn answers(bus: &Bus) {
    let handler = |_: Received<github::MergePullRequest>| async { Ok::<_, String>(7) };
    let _ = bus.subscriber::<services::GithubBridge>().handle(handler);
}

fn main() {
    let _ = (calls, answers);
}
