//! The few requests that this tool makes over HTTP: to the Kubernetes API, and to an OpenTelemetry collector.
//!
//! Only here is TLS: the CNI binary has none.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// Where distributions keep the authorities that everybody trusts.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Whom to trust, and who we are.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// Authorities as PEM; none are the system's.
    pub(crate) authorities: Option<Vec<u8>>,
    /// A certificate chain and its key, as PEM.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
    /// Trust anybody.
    pub(crate) insecure: bool,
}

/// A client. `timeout` bounds a whole request.
pub(crate) fn agent(url: &str, tls: &Tls, timeout: Duration) -> Result<Agent> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(timeout))
        // The body of a refusal says why.
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("wharfctl/", env!("CARGO_PKG_VERSION")));
    if url.starts_with("https:") {
        config = config.tls_config(tls.config()?);
    }
    Ok(Agent::new_with_config(config.build()))
}

impl Tls {
    fn config(&self) -> Result<TlsConfig> {
        let mut builder = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .disable_verification(self.insecure);
        if !self.insecure {
            builder = builder.root_certs(RootCerts::new_with_certs(&self.roots()?));
        }
        if let Some((chain, key)) = &self.client {
            let key = PrivateKey::from_pem(key).context("the client's private key")?;
            let chain = certificates(chain).context("the client's certificate")?;
            builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        Ok(builder.build())
    }

    fn roots(&self) -> Result<Vec<Certificate<'static>>> {
        if let Some(authorities) = &self.authorities {
            return certificates(authorities).context("the certificate authority");
        }
        let bundle = BUNDLES.iter().find_map(|file| std::fs::read(file).ok());
        let bundle = bundle.with_context(|| {
            format!("there are no trusted authorities ({}): install ca-certificates", BUNDLES.join(", "))
        })?;
        certificates(&bundle)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item? {
            found.push(certificate);
        }
    }
    if found.is_empty() {
        bail!("there is no certificate in it (PEM is expected)");
    }
    Ok(found)
}
