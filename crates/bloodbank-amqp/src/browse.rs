//! A look at what lies in a queue now.

use std::sync::Arc;
use std::time::Duration;

use bloodbank_bus::{Deliveries, Delivery, TransportError};
use lapin::Channel;
use lapin::options::BasicGetOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::assert::message_count;
use crate::connect::channel_error;
use crate::consumer::{Intake, Intakes};
use crate::link::Generation;

/// How many deliveries are taken ahead.
const AHEAD: usize = 100;

/// How often it is looked whether what was given back is there, at most.
const LOOKS: u32 = 50;
/// The time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Takes what is in the queue now, message by message: consumers of quorum queues get no more than
/// 2,000 at a time. What is not settled goes back at the end.
pub(crate) async fn browse(
    generation: &Generation,
    intakes: &Intakes,
    queue: &str,
) -> Result<Deliveries, TransportError> {
    let channel = generation.channel().await.map_err(|error| channel_error(&error))?;
    let count = message_count(&channel, queue).await?;
    let intake = Arc::new(Intake::new(channel.clone(), 0));
    intakes.add(intake.clone());
    let (sender, receiver) = mpsc::channel(AHEAD);
    let (stop, stopped) = oneshot::channel::<()>();
    let (closed_sender, closed) = oneshot::channel();
    let (intakes, queue) = (intakes.clone(), Arc::from(queue));
    tokio::spawn(async move {
        take(&channel, &intake, &queue, count, sender).await;
        // An error says the same: it is over.
        let _ = stopped.await;
        give_back(&channel, &intake, &queue).await;
        intake.close().await;
        intakes.remove(intake.number);
        drop(closed_sender);
    });
    Ok(Deliveries::new(receiver, move || drop(stop)).with_closed(closed))
}

async fn take(
    channel: &Channel,
    intake: &Intake,
    queue: &Arc<str>,
    count: u32,
    sender: mpsc::Sender<Delivery>,
) {
    for _ in 0..count {
        let got = channel.basic_get((&**queue).into(), BasicGetOptions::default()).await;
        let Ok(Some(message)) = got else { return };
        if sender.send(intake.receive(queue, message.delivery)).await.is_err() {
            return;
        }
    }
}

/// Gives back what is open, and waits until it lies there again: whoever looks next shall see it.
async fn give_back(channel: &Channel, intake: &Intake, queue: &Arc<str>) {
    let count = intake.give_back().await;
    for _ in 0..LOOKS {
        match message_count(channel, queue).await {
            Ok(back) if (back as usize) < count => sleep(BETWEEN_LOOKS).await,
            _ => return,
        }
    }
}
