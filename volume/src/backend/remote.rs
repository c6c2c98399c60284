//! Object stores, through the crate `object_store`. It repeats nothing: that is ours (`store`), bounded and seen.

use super::{Backend, Fault, Piece, is_hidden};
use crate::config::{Credentials, Kind, VolumeConfig};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    Certificate, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{Error, Listed, Result};

/// Longer than any try of ours; it only keeps a forgotten connection from living for ever.
const REQUEST_MAX: Duration = Duration::from_secs(600);
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Nothing arrived for so long: the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Connections kept open for later, for each host.
const IDLE_CONNECTIONS: usize = 32;
/// Bytes of a PEM file with certificates.
const CA_FILE_MAX: u64 = 1024 * 1024;

/// A bucket or container.
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// Whether the store refuses to overwrite when it is asked to.
    conditional: bool,
}

impl Remote {
    pub(super) fn open(config: &VolumeConfig, credentials: &Credentials) -> Result<Remote> {
        credentials.check(config)?;
        let wrong = |e: object_store::Error| Error::Invalid(format!("volume {}: {e}", config.name));
        let conditional = config.flag("conditional_put").unwrap_or(true);
        let store: Arc<dyn ObjectStore> = match config.kind {
            Kind::S3 => Arc::new(s3(config, credentials, conditional)?.build().map_err(wrong)?),
            Kind::Azure => Arc::new(azure(config, credentials)?.build().map_err(wrong)?),
            Kind::Google => Arc::new(google(config, credentials)?.build().map_err(wrong)?),
            Kind::Folder => return Err(Error::Internal("a folder is no object store".into())),
        };
        Ok(Remote { store, prefix: config.prefix.clone(), conditional })
    }

    fn path(&self, object: &str) -> Result<Path, Fault> {
        let whole = match self.prefix.is_empty() {
            true => object.to_string(),
            false => format!("{}/{object}", self.prefix),
        };
        Path::parse(whole).map_err(|e| Fault::Refused(e.to_string()))
    }
}

/// The option's value, if it is set.
fn option<'a>(config: &'a VolumeConfig, key: &str) -> Option<&'a str> {
    config.options.get(key).map(String::as_str)
}

fn client(config: &VolumeConfig) -> Result<ClientOptions> {
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_MAX)
        .with_connect_timeout(CONNECT_MAX)
        .with_read_timeout(SILENCE_MAX)
        .with_pool_max_idle_per_host(IDLE_CONNECTIONS)
        .with_allow_http(option(config, "endpoint").is_some_and(|e| e.starts_with("http://")));
    if let Some(file) = option(config, "ca_file") {
        let bad = |e: String| Error::Invalid(format!("ca_file {file}: {e}"));
        if std::fs::metadata(file).map_err(|e| bad(e.to_string()))?.len() > CA_FILE_MAX {
            return Err(bad("it is too large".into()));
        }
        let pem = std::fs::read(file).map_err(|e| bad(e.to_string()))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|e| bad(e.to_string()))? {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: REQUEST_MAX, ..RetryConfig::default() }
}

/// Without credentials of its own: those of the node's environment, or of the machine's role.
fn s3(config: &VolumeConfig, credentials: &Credentials, conditional: bool) -> Result<AmazonS3Builder> {
    let own = &credentials.0;
    let mut builder = if own.is_empty() { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
    builder = builder.with_bucket_name(&config.bucket).with_retry(retry()).with_client_options(client(config)?);
    if let (Some(id), Some(key)) = (own.get("access_key_id"), own.get("secret_access_key")) {
        builder = builder.with_access_key_id(id).with_secret_access_key(key);
    }
    if let Some(token) = own.get("session_token") {
        builder = builder.with_token(token);
    }
    let endpoint = option(config, "endpoint");
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = option(config, "region") {
        builder = builder.with_region(region);
    }
    // Stores other than Amazon's are mostly reached by an address, not by a name for each bucket.
    let path_style = config.flag("path_style").unwrap_or(endpoint.is_some());
    builder = builder.with_virtual_hosted_style_request(!path_style);
    if let Some(sse) = option(config, "sse") {
        let sse_key: AmazonS3ConfigKey = "aws_server_side_encryption".parse().map_err(|e: object_store::Error| {
            Error::Internal(format!("the name of an option: {e}"))
        })?;
        builder = match (sse, option(config, "kms_key")) {
            ("aws:kms", Some(key)) => builder.with_sse_kms_encryption(key),
            ("aws:kms:dsse", Some(key)) => builder.with_dsse_kms_encryption(key),
            _ => builder.with_config(sse_key, sse),
        };
    }
    if let Some(enabled) = config.flag("bucket_key") {
        builder = builder.with_bucket_key(enabled);
    }
    let mode = if conditional { S3ConditionalPut::ETagMatch } else { S3ConditionalPut::Disabled };
    Ok(builder.with_conditional_put(mode))
}

fn azure(config: &VolumeConfig, credentials: &Credentials) -> Result<MicrosoftAzureBuilder> {
    let own = &credentials.0;
    let mut builder = if own.is_empty() { MicrosoftAzureBuilder::from_env() } else { MicrosoftAzureBuilder::new() };
    builder = builder.with_container_name(&config.bucket).with_retry(retry()).with_client_options(client(config)?);
    if let Some(account) = option(config, "account") {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = option(config, "endpoint") {
        builder = builder.with_endpoint(endpoint.to_string());
    }
    let keys = [
        ("access_key", AzureConfigKey::AccessKey),
        ("tenant_id", AzureConfigKey::AuthorityId),
        ("client_id", AzureConfigKey::ClientId),
        ("client_secret", AzureConfigKey::ClientSecret),
    ];
    for (name, key) in keys {
        if let Some(value) = own.get(name) {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

fn google(config: &VolumeConfig, credentials: &Credentials) -> Result<GoogleCloudStorageBuilder> {
    let own = &credentials.0;
    let mut builder =
        if own.is_empty() { GoogleCloudStorageBuilder::from_env() } else { GoogleCloudStorageBuilder::new() };
    builder = builder.with_bucket_name(&config.bucket).with_retry(retry()).with_client_options(client(config)?);
    if let Some(endpoint) = option(config, "endpoint") {
        builder = builder.with_base_url(endpoint);
    }
    if let Some(key) = own.get("service_account_key") {
        builder = builder.with_service_account_key(key);
    }
    Ok(builder)
}

/// The status that a store answered with, as far as the crate tells: only in words.
fn status(text: &str) -> Option<u16> {
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

fn fault(error: object_store::Error) -> Fault {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Fault::NotFound,
        E::AlreadyExists { .. } => Fault::Exists,
        E::Generic { .. } => {
            let text = whole(&error);
            match status(&text) {
                Some(416) => Fault::Short,
                // Timeouts, conflicts of two writers, too many requests: not now.
                Some(408 | 409 | 425 | 429) | None => Fault::Away(text),
                Some(400..=499 | 501) => Fault::Refused(text),
                Some(_) => Fault::Away(text),
            }
        }
        other => Fault::Refused(whole(&other)),
    }
}

/// An error with its causes, of which the outer ones often say nothing, in bounds.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        let inner = e.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        source = e.source();
    }
    let end = (0..=text.len().min(600)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.truncate(end);
    text
}

impl Backend for Remote {
    fn get(&self, object: &str, range: Range<u64>) -> BoxFuture<'_, Result<Piece, Fault>> {
        let path = self.path(object);
        async move {
            let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
            let result = self.store.get_opts(&path?, options).await.map_err(fault)?;
            let size = result.meta.size;
            let bytes = result.bytes().await.map_err(fault)?;
            match range.end.min(size).checked_sub(range.start) {
                Some(n) if n == bytes.len() as u64 => Ok(Piece { bytes, size }),
                _ => Err(Fault::Away(format!("{} bytes of {range:?} came", bytes.len()))),
            }
        }
        .boxed()
    }

    fn put(&self, object: &str, bytes: Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        let path = self.path(object);
        async move {
            let path = path?;
            let mode = if self.conditional { PutMode::Create } else { PutMode::Overwrite };
            if !self.conditional {
                match self.store.head(&path).await {
                    Ok(_) => return Err(Fault::Exists),
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(e) => return Err(fault(e)),
                }
            }
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&path, bytes.into(), options).await.map_err(fault)?;
            Ok(())
        }
        .boxed()
    }

    fn delete(&self, object: &str) -> BoxFuture<'_, Result<(), Fault>> {
        let path = self.path(object);
        async move {
            match self.store.delete(&path?).await.map_err(fault) {
                Ok(()) | Err(Fault::NotFound) => Ok(()),
                Err(e) => Err(e),
            }
        }
        .boxed()
    }

    fn list(&self, prefix: &str, after: &str, limit: usize) -> BoxFuture<'_, Result<Vec<Listed>, Fault>> {
        let beneath = match (self.prefix.as_str(), prefix.trim_end_matches('/')) {
            ("", "") => None,
            ("", p) | (p, "") => Some(Path::from(p)),
            (p, q) => Some(Path::from(format!("{p}/{q}"))),
        };
        let offset = (!after.is_empty()).then(|| self.path(after)).transpose();
        async move {
            let mut stream = match offset? {
                Some(offset) => self.store.list_with_offset(beneath.as_ref(), &offset),
                None => self.store.list(beneath.as_ref()),
            };
            let mut out = Vec::new();
            while out.len() < limit
                && let Some(meta) = stream.next().await
            {
                let meta = meta.map_err(fault)?;
                let name = meta.location.as_ref();
                let own = match self.prefix.as_str() {
                    "" => Some(name),
                    p => name.strip_prefix(p).and_then(|n| n.strip_prefix('/')),
                };
                if let Some(own) = own.filter(|n| !is_hidden(n)) {
                    let changed_ms = meta.last_modified.timestamp_millis().try_into().unwrap_or(0);
                    out.push(Listed { object: own.to_string(), bytes: meta.size, changed_ms });
                }
            }
            Ok(out)
        }
        .boxed()
    }

    fn may_be_replaced(&self) -> bool {
        false
    }

    fn durability(&self) -> &'static str {
        match self.conditional {
            true => "by the store, when it has answered; names are claimed by If-None-Match",
            false => "by the store, when it has answered; names are looked up before they are written",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let generic = |text: &str| object_store::Error::Generic { store: "S3", source: text.to_string().into() };
        let of = |code: u16| fault(generic(&format!("Server returned non-2xx status code: {code} X: y")));
        assert_eq!(of(416), Fault::Short);
        for again in [408, 409, 429, 500, 502, 503, 504] {
            assert!(matches!(of(again), Fault::Away(_)), "{again}");
        }
        for never in [400, 405, 501] {
            assert!(matches!(of(never), Fault::Refused(_)), "{never}");
        }
        assert!(matches!(fault(generic("connection reset")), Fault::Away(_)));
    }

    #[test]
    fn every_kind_opens() {
        let credentials = |list: &[(&str, &str)]| {
            Credentials(list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
        };
        let pair = credentials(&[("access_key_id", "a"), ("secret_access_key", "b")]);
        for rest in ["sse=AES256", "sse=aws:kms kms_key=k bucket_key=true", "sse=aws:kms", "conditional_put=false"] {
            let config = VolumeConfig::parse(&format!("name=a url=s3://b/p region=x {rest}")).unwrap();
            Remote::open(&config, &pair).map(drop).unwrap();
        }
        let config = VolumeConfig::parse("name=a url=az://c/p account=x").unwrap();
        Remote::open(&config, &credentials(&[("access_key", "a2V5")])).map(drop).unwrap();
        let config = VolumeConfig::parse("name=a url=s3://b ca_file=/nonexistent").unwrap();
        assert!(Remote::open(&config, &pair).is_err());
        let config = VolumeConfig::parse("name=a url=gs://b").unwrap();
        assert!(Remote::open(&config, &credentials(&[("service_account_key", "not JSON")])).is_err());
    }
}
