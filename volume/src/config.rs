//! What the directory says of a volume: `name=cold url=s3://bucket/prefix region=eu-central-1`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use zcluster_api::volume::{check_object_name, check_volume_name};
use zcluster_api::{Error, Result};

/// The attribute of the global config with a value for each volume.
pub const ATTRIBUTE: &str = "zclusterVolume";
/// The attribute with the name of the volume that bodies go to by default.
pub const DEFAULT_ATTRIBUTE: &str = "zclusterDefaultVolume";
/// The directory's secrets with the volumes' credentials, each behind this by the volume's name.
pub const SECRET_PREFIX: &str = "volume/";
/// Bytes of one value at most.
const TEXT_MAX: usize = 4096;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder that every node sees at the same path.
    Folder,
    /// Amazon S3, or another store that speaks its language.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

impl Kind {
    /// What may be said besides name and URL.
    fn options(self) -> &'static [&'static str] {
        match self {
            Kind::Folder => &[],
            Kind::S3 => {
                &["region", "endpoint", "path_style", "sse", "kms_key", "bucket_key", "conditional_put", "ca_file"]
            }
            Kind::Azure => &["account", "endpoint", "ca_file"],
            Kind::Google => &["endpoint", "ca_file"],
        }
    }
    /// What its credentials may be made of.
    fn credentials(self) -> &'static [&'static str] {
        match self {
            Kind::Folder => &[],
            Kind::S3 => &["access_key_id", "secret_access_key", "session_token"],
            Kind::Azure => &["access_key", "tenant_id", "client_id", "client_secret"],
            Kind::Google => &["service_account_key"],
        }
    }
}

/// A volume as configured, without what must not be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeConfig {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// What kind of store that is.
    pub kind: Kind,
    /// Bucket or container; empty for a folder.
    pub bucket: String,
    /// Begin of all names there, without slashes around it; may be empty.
    pub prefix: String,
    /// The folder.
    pub folder: PathBuf,
    /// Further options by name.
    pub options: BTreeMap<String, String>,
}

fn invalid<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(text.into()))
}

impl VolumeConfig {
    /// From an attribute's value.
    ///
    /// # Errors
    /// `Invalid`: says what is wrong.
    pub fn parse(text: &str) -> Result<VolumeConfig> {
        if text.len() > TEXT_MAX {
            return invalid(format!("a volume is told in at most {TEXT_MAX} bytes"));
        }
        let mut options = BTreeMap::new();
        for word in text.split_ascii_whitespace() {
            let Some((key, value)) = word.split_once('=').filter(|(k, v)| !k.is_empty() && !v.is_empty()) else {
                return invalid(format!("expected key=value: {word:?}"));
            };
            if options.insert(key.to_string(), value.to_string()).is_some() {
                return invalid(format!("{key} is said twice"));
            }
        }
        let Some(name) = options.remove("name") else { return invalid("a volume needs name=") };
        let Some(url) = options.remove("url") else { return invalid("a volume needs url=") };
        VolumeConfig::new(&name, &url, options)
    }

    /// From its parts.
    ///
    /// # Errors
    /// `Invalid`: says what is wrong.
    pub fn new(name: &str, url: &str, options: BTreeMap<String, String>) -> Result<VolumeConfig> {
        check_volume_name(name)?;
        if url.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return invalid("a URL has no blanks; write %20");
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return invalid(format!("not a URL: {url:?}; expected file:///path, s3://bucket/prefix, az:// or gs://"));
        };
        let kind = match scheme {
            "file" => Kind::Folder,
            "s3" => Kind::S3,
            "az" => Kind::Azure,
            "gs" => Kind::Google,
            _ => return invalid(format!("unknown kind of volume {scheme:?}: file, s3, az and gs are known")),
        };
        let (mut bucket, mut prefix, mut folder) = (String::new(), String::new(), PathBuf::new());
        if kind == Kind::Folder {
            let Ok(path) = percent_encoding::percent_decode_str(rest).decode_utf8() else {
                return invalid("the path is not UTF-8");
            };
            folder = PathBuf::from(path.as_ref());
            let plain = folder.components().all(|c| !matches!(c, std::path::Component::ParentDir));
            if !folder.is_absolute() || folder.parent().is_none() || !plain {
                return invalid("a folder is named by its whole path: file:///path");
            }
        } else {
            let (b, p) = rest.split_once('/').unwrap_or((rest, ""));
            let fit = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
            if b.is_empty() || b.len() > 255 || !b.bytes().all(fit) {
                return invalid(format!("not the name of a bucket: {b:?}"));
            }
            (bucket, prefix) = (b.to_string(), p.trim_matches('/').to_string());
            if !prefix.is_empty() && (prefix.len() > 200 || check_object_name(&prefix).is_err()) {
                return invalid(format!("not a prefix of names: {prefix:?}"));
            }
        }
        for (key, value) in &options {
            if Kind::S3.credentials().iter().chain(Kind::Azure.credentials()).any(|c| c == key)
                || key == "service_account_key"
            {
                return invalid(format!("{key} is not said here, where it would be shown: give it as a credential"));
            }
            if !kind.options().contains(&key.as_str()) {
                return invalid(format!("unknown option {key:?} for {scheme}://; known: {}", kind.options().join(", ")));
            }
            check_option(key, value)?;
        }
        if options.contains_key("kms_key") && !options.get("sse").is_some_and(|v| v.starts_with("aws:kms")) {
            return invalid("kms_key needs sse=aws:kms");
        }
        Ok(VolumeConfig { name: name.into(), url: url.into(), kind, bucket, prefix, folder, options })
    }

    /// As [`parse`](Self::parse) takes it.
    pub fn text(&self) -> String {
        let options: String = self.options.iter().map(|(k, v)| format!(" {k}={v}")).collect();
        format!("name={} url={}{options}", self.name, self.url)
    }

    /// An option that is `true` or `false`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.options.get(key).map(|v| v == "true")
    }

    /// Whether its folder or bucket is one that all nodes see by itself.
    pub fn is_folder(&self) -> bool {
        self.kind == Kind::Folder
    }
}

fn check_option(key: &str, value: &str) -> Result<()> {
    if value.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
        return invalid(format!("{key} has no blanks"));
    }
    match key {
        "path_style" | "conditional_put" | "bucket_key" if !matches!(value, "true" | "false") => {
            invalid(format!("{key} is true or false"))
        }
        "sse" if !matches!(value, "AES256" | "aws:kms" | "aws:kms:dsse") => {
            invalid("sse is AES256, aws:kms or aws:kms:dsse")
        }
        "endpoint" if !value.starts_with("http://") && !value.starts_with("https://") => {
            invalid("endpoint is a URL with https:// or http://")
        }
        "ca_file" if !value.starts_with('/') => invalid("ca_file is a whole path, the same on every node"),
        _ => Ok(()),
    }
}

/// What a node shows to a store to be let in. Kept among the directory's secrets; never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credentials(pub BTreeMap<String, String>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Credentials {
    /// As kept.
    ///
    /// # Errors
    /// `Internal`: not what [`bytes`](Self::bytes) made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Credentials> {
        serde_json::from_slice(bytes).map_err(|_| Error::Internal("a volume's credentials are not readable".into()))
    }

    /// For keeping.
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// # Errors
    /// `Invalid`: they are not of this volume's kind, or not whole.
    pub fn check(&self, config: &VolumeConfig) -> Result<()> {
        let known = config.kind.credentials();
        for key in self.0.keys() {
            if !known.contains(&key.as_str()) {
                let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
                return invalid(format!("no such credential for {}: {key}; known: {known}", config.url));
            }
        }
        let has = |key| self.0.contains_key(key);
        if has("access_key_id") != has("secret_access_key") {
            return invalid("access_key_id and secret_access_key belong together");
        }
        if has("client_id") != has("client_secret") || has("client_id") != has("tenant_id") {
            return invalid("tenant_id, client_id and client_secret belong together");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn volumes_are_parsed_and_written() {
        let text = "name=cold url=s3://mail-2/a/b endpoint=http://127.0.0.1:9000 kms_key=k path_style=true sse=aws:kms";
        let volume = VolumeConfig::parse(text).unwrap();
        assert_eq!((volume.bucket.as_str(), volume.prefix.as_str(), volume.kind), ("mail-2", "a/b", Kind::S3));
        assert_eq!((volume.text().as_str(), volume.flag("path_style")), (text, Some(true)));
        let folder = VolumeConfig::parse("url=file:///srv/mail%20bodies name=nas").unwrap();
        assert_eq!(folder.folder, PathBuf::from("/srv/mail bodies"));
        assert_eq!(VolumeConfig::parse("name=a url=gs://b").unwrap().prefix, "");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "needs name="),
            ("name=a", "needs url="),
            ("name=a url", "key=value"),
            ("name=A url=s3://b", "small letters"),
            ("name=a url=ftp://b", "unknown kind"),
            ("name=a url=b", "not a URL"),
            ("name=a url=s3://", "bucket"),
            ("name=a url=s3://b/../c", "prefix"),
            ("name=a url=file://host/x", "whole path"),
            ("name=a url=file:///", "whole path"),
            ("name=a url=file:///x/../y", "whole path"),
            ("name=a url=s3://b region=x region=y", "twice"),
            ("name=a url=s3://b colour=blue", "unknown option"),
            ("name=a url=file:///x region=y", "unknown option"),
            ("name=a url=s3://b secret_access_key=x", "would be shown"),
            ("name=a url=s3://b path_style=maybe", "true or false"),
            ("name=a url=s3://b sse=rot13", "sse is"),
            ("name=a url=s3://b kms_key=x", "needs sse"),
            ("name=a url=s3://b endpoint=minio:9000", "https://"),
        ];
        for (text, part) in cases {
            let error = VolumeConfig::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn credentials_belong_to_a_kind_and_are_not_shown() {
        let s3 = VolumeConfig::parse("name=a url=s3://b").unwrap();
        let folder = VolumeConfig::parse("name=a url=file:///x").unwrap();
        let of = |list: &[&str]| Credentials(list.iter().map(|k| (k.to_string(), "hush".to_string())).collect());
        let pair = of(&["access_key_id", "secret_access_key"]);
        assert!(pair.check(&s3).is_ok() && of(&[]).check(&folder).is_ok());
        assert!(pair.check(&folder).is_err() && of(&["access_key_id"]).check(&s3).is_err());
        assert!(!format!("{pair:?}").contains("hush"));
        assert_eq!(Credentials::from_bytes(&pair.bytes()).unwrap(), pair);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "[ -~]{0,80}") {
            if let Ok(volume) = VolumeConfig::parse(&text) {
                prop_assert_eq!(VolumeConfig::parse(&volume.text()).unwrap(), volume);
            }
        }
        #[test]
        fn likely_text_too(name in "[a-z]{1,4}", url in "(file|s3|az|gs)://[a-zA-Z0-9./%-]{0,12}", rest in "( [a-z_]{1,9}=[a-z:/]{0,9}){0,2}") {
            if let Ok(volume) = VolumeConfig::parse(&format!("name={name} url={url}{rest}")) {
                prop_assert_eq!(VolumeConfig::parse(&volume.text()).unwrap(), volume);
            }
        }
    }
}
