//! What the process is told from outside.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To read the contracts again.
    Reload,
    /// To end.
    End,
}

/// Exit code of a process that was ended by a second signal, as shells have it.
const AT_ONCE: i32 = 130;

#[cfg(unix)]
mod platform {
    use std::io;

    use tokio::signal::unix::{Signal, SignalKind, signal};

    use super::Asked;

    /// The signals that are heard: SIGHUP, SIGTERM, and SIGINT, which is Ctrl-C.
    pub(in crate::up) struct Signals {
        hangup: Signal,
        terminate: Signal,
        interrupt: Signal,
    }

    impl Signals {
        pub(super) fn heard() -> io::Result<Self> {
            Ok(Signals {
                hangup: signal(SignalKind::hangup())?,
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            })
        }

        pub(in crate::up) async fn next(&mut self) -> Asked {
            tokio::select! {
                _ = self.hangup.recv() => Asked::Reload,
                _ = self.terminate.recv() => Asked::End,
                _ = self.interrupt.recv() => Asked::End,
            }
        }
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;

    use super::Asked;

    /// Ctrl-C.
    pub(in crate::up) struct Signals;

    impl Signals {
        pub(super) fn heard() -> io::Result<Self> {
            Ok(Signals)
        }

        pub(in crate::up) async fn next(&mut self) -> Asked {
            crate::bus::interrupted().await;
            Asked::End
        }
    }
}

pub(super) use platform::Signals;

/// Hears signals from now on, so that they do not end the process at once.
///
/// # Errors
/// If the system does not let us.
pub(super) fn hear() -> io::Result<Signals> {
    Signals::heard()
}

/// Ends the process at once when it is asked to end once more.
pub(super) async fn end_at_once(mut signals: Signals) {
    while signals.next().await != Asked::End {}
    eprintln!("ended at once");
    std::process::exit(AT_ONCE);
}
