//! Whom to trust, as `sslmode` says: what rustls needs to know for a connection.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    server::ParsedCertificate,
};

use super::{
    super::settings::{SslMode, SslSettings},
    SYSTEM, TlsError,
};

/// Reads the files that `ssl` names.
pub(super) fn client_config(ssl: &SslSettings) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(ssl, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&ssl.cert, &ssl.key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(read_certificates("sslcert", cert)?, read_key(key)?)
            .map_err(|error| key_error(key, &error))?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err(TlsError::Half("sslcert", "sslkey")),
        (None, Some(_)) => return Err(TlsError::Half("sslkey", "sslcert")),
    };
    // Needed by `sslnegotiation=direct`, and harmless without.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}

fn read_certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let certificates = match certificates {
        Ok(certificates) if certificates.is_empty() => Err(pem::Error::NoItemsFound),
        outcome => outcome,
    };
    certificates.map_err(|error| TlsError::File {
        parameter,
        path: path.to_owned(),
        cause: error.to_string(),
        advice: "it must be readable for this user and hold certificates in PEM",
    })
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| key_error(path, &error))
}

fn key_error(path: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::File {
        parameter: "sslkey",
        path: path.to_owned(),
        cause: error.to_string(),
        advice: "it must be readable for this user and hold the key of sslcert in PEM, without a passphrase",
    }
}

/// Verifies a server's certificate as far as the mode wants it. That the server has the key of what it shows
/// is verified always: channel binding relies on it.
#[derive(Debug)]
struct Verifier {
    /// `None` if any certificate will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates that are trusted, as they are in the file.
    trusted: Vec<CertificateDer<'static>>,
    /// Whether the certificate must be for the name of the host.
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(ssl: &SslSettings, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let names = ssl.mode == SslMode::VerifyFull;
        let mut verifier = Self { chain: None, trusted: Vec::new(), names, provider: Arc::clone(provider) };
        let mut roots = RootCertStore::empty();
        match ssl.root_cert.as_deref().filter(|path| path.as_os_str() != SYSTEM) {
            Some(path) => {
                verifier.trusted = read_certificates("sslrootcert", path)?;
                for certificate in &verifier.trusted {
                    roots.add(certificate.clone()).map_err(|error| TlsError::File {
                        parameter: "sslrootcert",
                        path: path.to_owned(),
                        cause: error.to_string(),
                        advice: "it must hold X.509 certificates",
                    })?;
                }
            }
            None if names || ssl.mode == SslMode::VerifyCa => {
                let system = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(system.certs);
                if roots.is_empty() {
                    let cause = system.errors.first().map(|error| format!(" ({error})"));
                    return Err(TlsError::NoSystem(cause.unwrap_or_default()));
                }
            }
            None => return Ok(verifier),
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        verifier.chain = Some(chain.build().expect("there are roots and no revocation lists"));
        Ok(verifier)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is verified before the name.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            // A certificate that a server has signed for itself is most often that of an authority too, which
            // a server's must not be. If it is in the file, it is trusted all the same. (What has expired is
            // another error.)
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                if self.names {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
