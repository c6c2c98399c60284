//! One attribute's facts.

use regex::Regex;

/// What values an attribute takes (data model §12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `TRUE` or `FALSE`.
    Boolean,
    /// Bytes in base64.
    Binary,
    /// A certificate in base64.
    Certificate,
    /// A number with `ms`, `s`, `m`, `h` or `d` behind it; alone: seconds.
    Duration,
    /// LDAP generalized time, `YYYYMMDDhhmmssZ`.
    GenTime,
    /// An address.
    Email,
    /// An address, perhaps with a display name.
    EmailP,
    /// Addresses, apart by commas, perhaps with display names.
    CsEmailP,
    /// One of the listed.
    Enum,
    /// A UUID.
    Id,
    /// A 32-bit number.
    Integer,
    /// A 64-bit number, or a size: `KB`, `MB`, `GB`, `TB`.
    Long,
    /// 0 to 65,535.
    Port,
    /// Text.
    Text,
    /// A telephone number.
    Phone,
    /// What fits a pattern.
    Pattern,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Option<Kind> {
        Some(match text {
            "boolean" => Kind::Boolean,
            "binary" => Kind::Binary,
            "certificate" => Kind::Certificate,
            "duration" => Kind::Duration,
            "gentime" => Kind::GenTime,
            "email" => Kind::Email,
            "emailp" => Kind::EmailP,
            "cs_emailp" => Kind::CsEmailP,
            "enum" => Kind::Enum,
            "id" => Kind::Id,
            "integer" => Kind::Integer,
            "long" => Kind::Long,
            "port" => Kind::Port,
            "string" | "astring" | "cstring" | "ostring" => Kind::Text,
            "phone" => Kind::Phone,
            "regex" => Kind::Pattern,
            _ => return None,
        })
    }
}

/// What else is true of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Flag {
    /// Looked up in the account, then in its COS.
    AccountInherited,
    /// Looked up in the account, its COS, its domain.
    AccountCosDomainInherited,
    /// Looked up in the domain, then in the global config.
    DomainInherited,
    /// Looked up in the server, then in the global config.
    ServerInherited,
    /// Looked up in the server's always-on cluster first.
    ServerPreferAlwaysOn,
    /// A domain admin may change it.
    DomainAdminModifiable,
    /// Told by GetInfo.
    AccountInfo,
    /// Told by GetDomainInfo.
    DomainInfo,
    /// Not kept in the directory proper.
    Ephemeral,
    /// Its values have keys.
    Dynamic,
    /// Its values end.
    Expirable,
    /// An internationalised domain name.
    Idn,
    /// A time zone's name.
    TimeZone,
}

impl Flag {
    pub(crate) fn parse(text: &str) -> Option<Flag> {
        Some(match text {
            "accountInherited" => Flag::AccountInherited,
            "accountCosDomainInherited" => Flag::AccountCosDomainInherited,
            "domainInherited" => Flag::DomainInherited,
            "serverInherited" => Flag::ServerInherited,
            "serverPreferAlwaysOn" => Flag::ServerPreferAlwaysOn,
            "domainAdminModifiable" => Flag::DomainAdminModifiable,
            "accountInfo" => Flag::AccountInfo,
            "domainInfo" => Flag::DomainInfo,
            "ephemeral" => Flag::Ephemeral,
            "dynamic" => Flag::Dynamic,
            "expirable" => Flag::Expirable,
            "idn" => Flag::Idn,
            "timeZone" => Flag::TimeZone,
            _ => return None,
        })
    }
}

/// Where an attribute may stand: the kinds of entries, as the facts name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Place {
    Account,
    Alias,
    CalendarResource,
    Cos,
    DataSource,
    DistributionList,
    Domain,
    GlobalConfig,
    Group,
    Identity,
    MailRecipient,
    MimeEntry,
    ObjectEntry,
    Server,
    Signature,
    ZimletEntry,
    XmppComponent,
    AclTarget,
    AlwaysOnCluster,
    UcService,
    ShareLocator,
    AddressList,
    HabGroup,
    GroupUnit,
    TimeZone,
}

impl Place {
    pub(crate) fn parse(text: &str) -> Option<Place> {
        Some(match text {
            "account" => Place::Account,
            "alias" => Place::Alias,
            "calendarResource" => Place::CalendarResource,
            "cos" => Place::Cos,
            "dataSource" | "pop3DataSource" | "imapDataSource" | "galDataSource" => Place::DataSource,
            "distributionList" => Place::DistributionList,
            "domain" => Place::Domain,
            "globalConfig" => Place::GlobalConfig,
            "group" => Place::Group,
            "identity" => Place::Identity,
            "mailRecipient" => Place::MailRecipient,
            "mimeEntry" => Place::MimeEntry,
            "objectEntry" => Place::ObjectEntry,
            "server" => Place::Server,
            "signature" => Place::Signature,
            "zimletEntry" => Place::ZimletEntry,
            "xmppComponent" => Place::XmppComponent,
            "aclTarget" => Place::AclTarget,
            "alwaysOnCluster" => Place::AlwaysOnCluster,
            "ucService" => Place::UcService,
            "shareLocator" => Place::ShareLocator,
            "addressList" => Place::AddressList,
            "habGroup" => Place::HabGroup,
            "timeZone" => Place::TimeZone,
            "groupDynamicUnit" | "groupStaticUnit" | "securityGroup" => Place::GroupUnit,
            _ => return None,
        })
    }
}

/// Bounds of a value.
#[derive(Clone, Debug, Default)]
pub struct Constraint {
    /// Allowed words of an enumeration.
    pub one_of: Vec<&'static str>,
    /// Smallest number.
    pub min: Option<i64>,
    /// Largest number, or most bytes of a text.
    pub max: Option<i64>,
    /// What it must fit whole.
    pub pattern: Option<Regex>,
}

/// One attribute.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Name as Zimbra spells it.
    pub name: &'static str,
    /// Number under Zimbra's OID arc 1.3.6.1.4.1.19348.2.1.
    pub number: Option<u32>,
    /// What values it takes.
    pub kind: Kind,
    /// At most one value.
    pub single: bool,
    /// Never changed by a client.
    pub immutable: bool,
    /// Bounds.
    pub constraint: Constraint,
    /// Values that a new global config has.
    pub global_default: Vec<String>,
    /// Values that the COS `default` has.
    pub cos_default: Vec<String>,
    /// Values that the COS `defaultExternal` has, where they differ.
    pub external_cos_default: Option<Vec<String>>,
    /// What it is, in a few words.
    pub meaning: &'static str,
    /// One of those to honour first.
    pub core: bool,
    pub(crate) flags: u32,
    pub(crate) places: u32,
}

impl Definition {
    /// Whether the flag is set.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags & 1 << flag as u32 != 0
    }
    /// Whether it may stand there. Attributes of which the facts name no place may stand anywhere.
    pub fn stands_in(&self, place: Place) -> bool {
        self.places == 0 || self.places & 1 << place as u32 != 0
    }
}
