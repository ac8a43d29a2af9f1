//! Where the tokens of a service lie.

use std::env;
use std::path::PathBuf;

use bloodbank::candystore::StoreUrl;

/// What `BLOODBANK_TOKENS` names, else a file beside the store: `bloodbank.tokens.json` beside
/// `bloodbank.db`. For a store on a server it is the one that would lie beside the default file.
pub(crate) fn place() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os("BLOODBANK_TOKENS").filter(|named| !named.is_empty()) {
        return Ok(named.into());
    }
    Ok(beside(StoreUrl::from_env()?))
}

fn beside(url: StoreUrl) -> PathBuf {
    match (url, StoreUrl::default_file()) {
        (StoreUrl::Sqlite(file), _) | (_, StoreUrl::Sqlite(file)) => {
            file.with_extension("tokens.json")
        }
        _ => PathBuf::from("bloodbank.tokens.json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lie_beside_the_file_of_the_store() {
        let at = beside(StoreUrl::file("/data/orders.db"));
        assert_eq!(at, PathBuf::from("/data/orders.tokens.json"));
        let server = beside(StoreUrl::Postgres("postgres://me@db/orders".to_owned()));
        assert!(server.ends_with("bloodbank/bloodbank.tokens.json"), "{server:?}");
    }
}
