//! Several statements in one round trip.

use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::Error;

use super::{Params, Postgres, arrays, columns, pieces, reason};
use crate::StoreError;
use crate::sql::{Cell, Set, Value};

/// A statement under way.
type Running<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + 'a>>;

impl Postgres {
    /// Runs several statements, each for many rows. All are under way before the first answer is waited
    /// for; what comes behind one that fails is not done.
    pub(crate) async fn execute_sets(&mut self, sets: &[Set<'_>]) -> Result<Vec<u64>, StoreError> {
        let cells: Vec<Vec<Cell<'_>>> =
            sets.iter().map(|(_, rows)| rows.iter().flatten().map(Value::cell).collect()).collect();
        let mut parts = Vec::new();
        for (at, ((each, _), cells)) in sets.iter().zip(&cells).enumerate() {
            let width = each.columns.len();
            parts.extend(pieces(cells, width).into_iter().map(|piece| (at, columns(piece, width))));
        }
        let params: Vec<(usize, Params<'_>)> = parts
            .iter()
            .map(|(at, columns)| (*at, arrays(columns, sets[*at].0.columns.iter().copied())))
            .collect();
        let mut running = Vec::with_capacity(params.len());
        for (at, params) in &params {
            let statement: Running<'_> =
                Box::pin(self.client.execute_typed(sets[*at].0.all, params));
            running.push((*at, sent(statement).await));
        }
        let mut changed = vec![0; sets.len()];
        for (at, statement) in running {
            changed[at] += match statement {
                Ok(statement) => self.answer(statement).await?,
                Err(done) => done.map_err(|error| reason(&error))?,
            };
        }
        Ok(changed)
    }
}

/// Sends a statement, which its first poll does. What it has come to, if it is over by then.
async fn sent(mut statement: Running<'_>) -> Result<Running<'_>, Result<u64, Error>> {
    let polled =
        std::future::poll_fn(|context| Poll::Ready(statement.as_mut().poll(context))).await;
    match polled {
        Poll::Pending => Ok(statement),
        Poll::Ready(done) => Err(done),
    }
}
