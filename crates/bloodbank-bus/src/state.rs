//! What handlers share.

/// Gives each call of a handler a clone of what handlers share, such as a pool of connections; so that
/// handlers can be plain functions. For every kind of handler: [`on`](crate::Subscriber::on),
/// [`on_batch`](crate::Subscriber::on_batch), [`handle`](crate::Subscriber::handle).
///
/// ```
/// # use bloodbank_bus::{Received, Subscriber, with_state};
/// # use bloodbank_core::{ConsumedBy, Event, Service};
/// # #[derive(Clone)]
/// # struct Database;
/// # impl Database {
/// #     async fn insert<E>(&self, _: &E) -> Result<(), std::io::Error> { Ok(()) }
/// # }
/// async fn save<E: Event>(database: Database, event: Received<E>) -> Result<(), std::io::Error> {
///     database.insert(&event.payload).await
/// }
///
/// # fn example<S: Service, Meeting: Event + ConsumedBy<S>, Vote: Event + ConsumedBy<S>>(
/// #     subscriber: Subscriber<S>, database: Database,
/// # ) -> Subscriber<S> {
/// subscriber
///     .on(with_state(&database, save::<Meeting>))
///     .on(with_state(&database, save::<Vote>))
/// # }
/// ```
pub fn with_state<T, A, R, F>(state: &T, handler: F) -> impl Fn(A) -> R + use<T, A, R, F>
where
    T: Clone,
    F: Fn(T, A) -> R,
{
    let state = state.clone();
    move |message| handler(state.clone(), message)
}
