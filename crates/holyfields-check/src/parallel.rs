//! Work on threads that can go deep.

use std::num::NonZero;
use std::panic;
use std::thread::{self, Builder};

/// In bytes: the engine recurses as deep as a schema and all its references go.
const STACK: usize = 16 << 20;

/// `work(0)`, `work(1)`, … in this order, worked out on all cores.
pub(crate) fn map<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(cores).max(1);
    let work = &work;
    thread::scope(|scope| {
        let part = |from: usize| move || (from..count.min(from + share)).map(work).collect();
        let threads: Vec<_> = (0..count)
            .step_by(share)
            .map(|from| {
                let thread = Builder::new().stack_size(STACK).spawn_scoped(scope, part(from));
                thread.map_err(|_| from)
            })
            .collect();
        let parts = threads.into_iter().map(|started| -> Vec<T> {
            match started {
                Ok(thread) => thread.join().unwrap_or_else(|why| panic::resume_unwind(why)),
                // No thread to be had: then on this one.
                Err(from) => part(from)(),
            }
        });
        parts.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 2, 3, 1000] {
            assert_eq!(map(count, |index| index), Vec::from_iter(0..count));
        }
    }
}
