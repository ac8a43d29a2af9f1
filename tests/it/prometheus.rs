//! The figures of a process, as Prometheus reads them.

use std::time::Duration;

use bloodbank::events::{self, llm, services};
use bloodbank::{Bus, Code, Prometheus, Received};

#[tokio::test]
async fn figures_are_rendered_with_their_meaning_and_in_buckets() {
    let figures = Prometheus::install().unwrap();
    assert_eq!(Prometheus::install().unwrap_err().code(), Code::FiguresTaken);
    let bus = Bus::in_memory(events::contracts());
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let subscriber = bus.subscriber::<services::LlmCostCalculator>().queue("figures");
    let subscriber = subscriber.bind("llm.prompt").on(move |_: Received<llm::Prompt>| {
        sender.send(()).unwrap();
        async {}
    });
    let prompt = llm::Prompt::new(bloodbank::uuid::Uuid::now_v7(), "Alice", "gpt-5", "Hello?");
    let working = async {
        bus.publisher::<services::LlmCollector>().publish(&prompt).await.unwrap();
        handled.recv().await.unwrap();
        // The handler is counted when it is done.
        while !figures.render().contains("status=\"acked\"") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    subscriber.run_until(working).await.unwrap();
    let text = figures.render();
    for line in [
        "# HELP bloodbank_received_messages_total Messages that a queue gave to be handled",
        "# TYPE bloodbank_oldest_handler_seconds gauge",
        "bloodbank_received_processed_messages_total{handler=\"figures\",status=\"acked\"} 1",
        "bloodbank_received_processed_messages_duration_seconds_bucket{handler=\"figures\",le=\"900\"} 1",
        "bloodbank_received_messages_size_bytes_bucket{handler=\"figures\",le=\"1024\"} 1",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}
