//! A server that speaks TLS.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::{Inner, Postgres, blocking, give_to_owner};
use crate::Certificates;

impl Postgres {
    /// Starts the server again, so that it speaks TLS, too, with the certificate for `localhost` and
    /// `127.0.0.1`. The database `encrypted` lets in nobody without TLS, and the database `certified` only
    /// the user whom the client's certificate names. Both have to be made.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub async fn speak_tls(&self, certificates: &Certificates) {
        let files = [
            ("ca.pem", certificates.ca()),
            ("server.pem", certificates.server_cert()),
            ("server.key", certificates.server_key()),
        ];
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            for (name, from) in files {
                let to = inner.dir.join("data").join(name);
                fs::copy(from, &to).unwrap();
                fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
                give_to_owner(&to);
            }
            inner.configure();
        })
        .await;
        self.restart().await;
    }
}

impl Inner {
    fn configure(&self) {
        let data = self.dir.join("data");
        let mut settings =
            fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        let tls = "\nssl = on\nssl_ca_file = 'ca.pem'\nssl_cert_file = 'server.pem'\n\
                   ssl_key_file = 'server.key'\n";
        settings.write_all(tls.as_bytes()).unwrap();
        // The first line that fits counts.
        let before = "hostssl encrypted all 127.0.0.1/32 trust\n\
                      hostnossl encrypted all 127.0.0.1/32 reject\n\
                      hostssl certified all 127.0.0.1/32 cert\n\
                      hostnossl certified all 127.0.0.1/32 reject\n";
        let rules = data.join("pg_hba.conf");
        let all = before.to_owned() + &fs::read_to_string(&rules).unwrap();
        fs::write(rules, all).unwrap();
    }
}
