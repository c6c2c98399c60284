//! Directory attributes as fields of a contact: `zimbraGalLdapAttrMap`, `attr1,attr2=field1,field2`: the values of the
//! attributes, in order, into the fields, in order.

use std::collections::BTreeMap;
use zcluster_api::AccountId;
use zcluster_api::directory::{Attributes, Object, ObjectKind};

/// Lines of a map.
const LINES_MAX: usize = 500;

/// An entry of the address list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// The entry here; none: of another directory.
    pub id: Option<AccountId>,
    /// What it is here; lists of other directories are no kind of ours but [`Contact::is_group`].
    pub kind: Option<ObjectKind>,
    /// A list or group: its members may be asked for.
    pub is_group: bool,
    /// Fields by Zimbra's names of contact fields: `email`, `fullName`, `workPhone`.
    pub fields: BTreeMap<String, String>,
}

impl Contact {
    /// The address.
    pub fn address(&self) -> Option<&str> {
        self.fields.get("email").map(String::as_str)
    }
}

/// The map of a domain.
pub(super) struct Map {
    lines: Vec<(Vec<String>, Vec<String>)>,
    /// Attribute, values that are to be another one, that one (`zimbraGalLdapValueMap`).
    values: Vec<(String, Vec<String>, String)>,
}

impl Map {
    pub fn of(settings: &Attributes) -> Map {
        let list = |text: &str| text.split(',').map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect();
        let line = |text: &String| {
            // Zimbra marks attributes whose values are bytes.
            let text = text.trim();
            let text = text.strip_prefix("(binary)").or_else(|| text.strip_prefix("(certificate)")).unwrap_or(text);
            let (attrs, fields) = text.split_once('=')?;
            Some((list(attrs), list(fields)))
        };
        let value = |text: &String| {
            let (attr, rest) = text.split_once(':')?;
            let (from, to) = rest.trim().rsplit_once(' ')?;
            let from = from.split('|').map(|w| w.trim().to_string()).collect();
            Some((attr.trim().to_string(), from, to.trim().to_string()))
        };
        let lines = settings.all("zimbraGalLdapAttrMap").iter().take(LINES_MAX).filter_map(line).collect();
        let values = settings.all("zimbraGalLdapValueMap").iter().take(LINES_MAX).filter_map(value).collect();
        Map { lines, values }
    }

    /// Every attribute that the map looks at.
    pub fn attributes(&self) -> Vec<String> {
        let mut all: Vec<String> = self.lines.iter().flat_map(|(attrs, _)| attrs.clone()).collect();
        all.push("objectClass".into());
        all.sort_by_key(|a| a.to_lowercase());
        all.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        all
    }

    fn fields(&self, attrs: &Attributes) -> BTreeMap<String, String> {
        let mut out: BTreeMap<String, String> = BTreeMap::new();
        for (from, to) in &self.lines {
            let open = from.iter().filter(|a| !zcluster_schema::is_secret(a));
            let mut seen: Vec<String> = Vec::new();
            for attr in open {
                for value in attrs.all(attr) {
                    let value = self.value(attr, value);
                    if !seen.iter().any(|s| s.eq_ignore_ascii_case(&value)) {
                        seen.push(value);
                    }
                }
            }
            for (field, value) in to.iter().zip(seen) {
                out.entry(field.clone()).or_insert(value);
            }
        }
        out
    }

    fn value(&self, attr: &str, value: &str) -> String {
        let fits = |(a, from, _): &&(String, Vec<String>, String)| {
            a.eq_ignore_ascii_case(attr) && from.iter().any(|f| f.eq_ignore_ascii_case(value))
        };
        self.values.iter().find(fits).map_or_else(|| value.to_string(), |(_, _, to)| to.clone())
    }

    /// An entry of this directory.
    pub fn contact(&self, object: &Object) -> Contact {
        let mut fields = self.fields(&object.attrs);
        fields.entry("email".into()).or_insert_with(|| object.name.clone());
        let name = || name_of(&object.attrs, &object.name).to_string();
        fields.entry("fullName".into()).or_insert_with(name);
        let is_group = matches!(object.kind, ObjectKind::DistributionList | ObjectKind::DynamicGroup);
        if is_group {
            fields.insert("type".into(), "group".into());
        }
        Contact { id: Some(object.id), kind: Some(object.kind), is_group, fields }
    }

    /// An entry of another one.
    pub fn foreign(&self, attrs: &Attributes) -> Contact {
        const GROUPS: [&str; 5] =
            ["group", "groupOfNames", "groupOfUniqueNames", "zimbraDistributionList", "zimbraGroup"];
        let mut fields = self.fields(attrs);
        let class = |c: &String| GROUPS.iter().any(|g| g.eq_ignore_ascii_case(c));
        let is_group = attrs.all("objectClass").iter().any(class);
        if is_group {
            fields.insert("type".into(), "group".into());
        }
        Contact { id: None, kind: None, is_group, fields }
    }
}

/// The name that is shown.
pub(super) fn name_of<'a>(attrs: &'a Attributes, address: &'a str) -> &'a str {
    attrs.get("displayName").or_else(|| attrs.get("cn")).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_fields() {
        let mut settings = Attributes::new();
        let lines = [
            "displayName,cn=fullName,fullName2",
            "mail,zimbraMailAlias=email,email2,email3",
            "(binary) userCertificate=userCertificate",
            "userPassword=notes",
            "msExchKind=zimbraCalResType",
            "odd",
        ];
        settings.set("zimbraGalLdapAttrMap", lines.map(String::from).to_vec());
        settings.set("zimbraGalLdapValueMap", vec!["msExchKind: Room|Equipment RESOURCE".into()]);
        let mut attrs = Attributes::new();
        attrs.set("cn", vec!["Al".into()]);
        attrs.set("displayName", vec!["Al A.".into()]);
        attrs.set("mail", vec!["al@x".into()]);
        attrs.set("zimbraMailAlias", vec!["AL@x".into(), "alan@x".into()]);
        attrs.set("userPassword", vec!["hush".into()]);
        attrs.set("userCertificate", vec!["AAAA".into()]);
        attrs.set("msExchKind", vec!["room".into()]);
        let map = Map::of(&settings);
        let contact = map.foreign(&attrs);
        let shown: Vec<String> = contact.fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let want = ["email=al@x", "email2=alan@x", "fullName=Al A.", "fullName2=Al", "userCertificate=AAAA"];
        assert_eq!(shown[..5], want);
        assert_eq!(shown[5..], ["zimbraCalResType=RESOURCE"]);
        assert!(map.attributes().contains(&"mail".to_string()));
    }
}
