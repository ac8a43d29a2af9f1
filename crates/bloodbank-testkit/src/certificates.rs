//! What TLS needs, made anew each time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// The password of the file that [`Certificates::client_p12`] names.
pub const P12_PASSWORD: &str = "bloodbank";

/// An authority of our own, a server's certificate for `localhost` and `127.0.0.1`, and a client's.
///
/// PEM files in a folder that goes when this is dropped.
pub struct Certificates {
    dir: TempDir,
    client_p12: Option<PathBuf>,
}

impl Certificates {
    /// Makes the certificates. Takes milliseconds.
    ///
    /// # Panics
    ///
    /// If the files cannot be written.
    #[must_use]
    pub fn generate() -> Certificates {
        let dir = tempfile::Builder::new().prefix("bloodbank-tls-").tempdir().unwrap();
        let mut ca = params("Bloodbank test authority", &[]);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let issue = |file: &str, params: CertificateParams| {
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &ca).unwrap();
            fs::write(dir.path().join(format!("{file}.pem")), certificate.pem()).unwrap();
            fs::write(dir.path().join(format!("{file}.key")), key.serialize_pem()).unwrap();
        };
        let mut server = params("localhost", &["localhost", "127.0.0.1"]);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        issue("server", server);
        let mut client = params("guest", &[]);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        issue("client", client);
        let client_p12 = p12(dir.path());
        Certificates { dir, client_p12 }
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The server's certificate.
    #[must_use]
    pub fn server_cert(&self) -> PathBuf {
        self.dir.path().join("server.pem")
    }

    /// The server's key.
    #[must_use]
    pub fn server_key(&self) -> PathBuf {
        self.dir.path().join("server.key")
    }

    /// The client's certificate, for the user `guest`.
    #[must_use]
    pub fn client_cert(&self) -> PathBuf {
        self.dir.path().join("client.pem")
    }

    /// The client's key.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.dir.path().join("client.key")
    }

    /// The client's certificate and key as PKCS#12 with [`P12_PASSWORD`], if openssl is on the
    /// machine.
    #[must_use]
    pub fn client_p12(&self) -> Option<&Path> {
        self.client_p12.as_deref()
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params
}

fn p12(dir: &Path) -> Option<PathBuf> {
    let password = format!("pass:{P12_PASSWORD}");
    let output = Command::new("openssl")
        .args(["pkcs12", "-export", "-in", "client.pem", "-inkey", "client.key"])
        .args(["-certfile", "ca.pem", "-out", "client.p12", "-passout", &password])
        .current_dir(dir)
        .output()
        .ok()?;
    output.status.success().then(|| dir.join("client.p12"))
}
