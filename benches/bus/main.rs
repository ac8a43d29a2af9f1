//! Events over RabbitMQ: ours, checked and typed, beside raw clients with bytes that are ready.
//!
//! Publishing by windows, consuming with acknowledgements, the time from publishing to the handler,
//! and the client's CPU time. Every contender is a process of its own on the same private broker, the
//! same exchange and the same quorum queue; rounds take turns, and medians are told. What is wished
//! for is printed beside what is; nothing fails.
#![allow(clippy::expect_used, clippy::panic)]

mod arena;
mod consuming;
mod latency;
mod publishing;
mod report;
mod setup;
#[path = "../support/mod.rs"]
mod support;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match args[..] {
        ["publish", who, window, count, url] => {
            let (window, count) = (number(window), number(count));
            let (who, url) = (who.to_owned(), url.to_owned());
            // In a task, as in any service, and not on the thread that waits for the runtime.
            let run = async move { publishing::run(&who, window, count, &url).await };
            tell(&runtime.block_on(runtime.spawn(run)).expect("figures"));
        }
        ["consume", who, prefetch, count, url] => {
            let (prefetch, count) = (number(prefetch), number(count));
            tell(&runtime.block_on(consuming::run(who, prefetch, count, url)));
        }
        ["latency", who, rate, count, url] => {
            tell(&latency::run(&runtime, who, number(rate), number(count), url));
        }
        _ => {
            if !bloodbank_testkit::rabbitmq() {
                return;
            }
            // Only the rounds of one part, or of all.
            let part = args.iter().find(|arg| !arg.starts_with('-')).copied();
            runtime.block_on(arena::run(part));
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// What a contender measured, for the process that started it.
fn tell(figures: &[f64]) {
    let figures: Vec<String> = figures.iter().map(f64::to_string).collect();
    println!("{}", figures.join(" "));
}
