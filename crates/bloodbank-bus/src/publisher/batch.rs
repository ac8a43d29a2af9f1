//! Many messages at once.

use std::collections::VecDeque;

use crate::{PublishError, Publishing};

/// How many messages of a batch are on their way at a time.
const WINDOW: usize = 1_000;

/// What became of a batch.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Published {
    /// How many the bus has taken.
    pub count: u64,
    /// Those that it has not: the index in the batch, from 0, and why.
    pub failed: Vec<(u64, PublishError)>,
}

impl Published {
    /// The batch, if all of it was taken.
    ///
    /// # Errors
    /// The first failure.
    pub fn all(self) -> Result<u64, PublishError> {
        match self.failed.into_iter().next() {
            None => Ok(self.count),
            Some((_, error)) => Err(error),
        }
    }
}

/// A batch under way.
#[derive(Default)]
pub(super) struct Batch {
    under_way: VecDeque<(u64, Publishing)>,
    next: u64,
    published: Published,
}

impl Batch {
    /// Adds a message, once there are not too many.
    pub(super) async fn add(&mut self, message: Result<Publishing, PublishError>) {
        let index = self.next;
        self.next += 1;
        match message {
            Ok(publishing) => self.under_way.push_back((index, publishing)),
            Err(error) => self.published.failed.push((index, error)),
        }
        if self.under_way.len() >= WINDOW {
            self.settle_first().await;
        }
    }

    /// Waits for the rest.
    pub(super) async fn finish(mut self) -> Published {
        while !self.under_way.is_empty() {
            self.settle_first().await;
        }
        self.published.failed.sort_by_key(|(index, _)| *index);
        self.published
    }

    async fn settle_first(&mut self) {
        if let Some((index, publishing)) = self.under_way.pop_front() {
            match publishing.await {
                Ok(_) => self.published.count += 1,
                Err(error) => self.published.failed.push((index, error)),
            }
        }
    }
}
