//! Which names of members say that their values are secrets.

/// Parts of names, in lower case and without `_` and `-`: nothing harmless has them.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "sharedkey",
    "clientkey",
    "authorization",
    "bearer",
    "keydata",
    "kubeconfigdata",
    "connectionstring",
];
/// Whole words: as parts they are in `hairpin`, `basalt` and `author`.
const WORDS: &[&str] = &[
    "auth",
    "authkey",
    "community",
    "cookie",
    "cred",
    "dsn",
    "etcdkey",
    "jwk",
    "jwt",
    "oauth",
    "otp",
    "pass",
    "pem",
    "pin",
    "psk",
    "pw",
    "pwd",
    "salt",
    "sasl",
    "session",
    "sessionid",
    "sshkey",
    "tlskey",
];
/// What such a word may be followed by: then it is about the secret.
const ABOUT: &[&str] = &[
    "affinity",
    "alg",
    "algorithm",
    "audience",
    "class",
    "dir",
    "directory",
    "enable",
    "enabled",
    "endpoint",
    "file",
    "format",
    "host",
    "interval",
    "issuer",
    "kind",
    "length",
    "life",
    "lifetime",
    "limit",
    "method",
    "mode",
    "path",
    "policy",
    "port",
    "protocol",
    "provider",
    "required",
    "scheme",
    "server",
    "size",
    "through",
    "timeout",
    "ttl",
    "type",
    "version",
];
/// Keys that open nothing.
const PUBLIC_KEYS: &[&str] = &[
    "annotation",
    "cache",
    "foreign",
    "gre",
    "index",
    "label",
    "lookup",
    "map",
    "partition",
    "primary",
    "pub",
    "public",
    "sort",
    "topology",
    "tunnel",
];
/// Members of something secret that say only what kind it is of.
const KINDS: &[&str] = &["kind", "mechanism", "method", "mode", "scheme", "type"];

/// Whether the name of a member says that its strings are secrets.
pub fn is_secret(key: &str) -> bool {
    let plain: String =
        key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect();
    if PARTS.iter().any(|part| plain.contains(part)) {
        return true;
    }
    let words = words(key);
    let Some((last, before)) = words.split_last() else { return false };
    // What is called `key` alone is mostly that of a label.
    let opens = last == "key" && before.last().is_some_and(|word| !PUBLIC_KEYS.contains(&word.as_str()));
    let about = ABOUT.contains(&last.as_str());
    opens || (!about && words.iter().any(|word| WORDS.contains(&word.as_str())))
}

/// Whether a member of something secret is none.
pub(super) fn is_kind(key: &str) -> bool {
    KINDS.contains(&key)
}

/// The words of a name in lower case, whether case, `_`, `-` or `.` parts them, without the number or the plural that a
/// word may end with.
fn words(key: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut before = ' ';
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        // The last capital of several begins the next word, but for the plural of an acronym.
        let ends_acronym = letters.peek().is_some_and(|next| next.is_ascii_lowercase() && *next != 's');
        let begins = letter.is_ascii_uppercase() && (!before.is_ascii_uppercase() || ends_acronym);
        if begins || !letter.is_alphanumeric() {
            push(&mut words, &mut word);
        }
        if letter.is_alphanumeric() {
            word.push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    push(&mut words, &mut word);
    words
}

fn push(words: &mut Vec<String>, word: &mut String) {
    let whole = std::mem::take(word);
    let stem = whole.trim_end_matches(|c: char| c.is_ascii_digit());
    // `pass` is no plural.
    let single = stem.strip_suffix('s').filter(|single| !single.ends_with('s')).unwrap_or(stem);
    if !single.is_empty() {
        words.push(single.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that the reference plugins, their IPAM plugins, runtimes and the specification know.
    const REFERENCE: &str = "
        cniVersion cniVersions name type plugins disableCheck disableGC loadOnlyInlinedPlugins capabilities
        runtimeConfig args cni labels key value ipam dns nameservers domain search options prevResult
        cni.dev/attachments cni.dev/valid-attachments containerID ifname
        interfaces mac mtu sandbox socketPath pciID ips interface address gateway version routes dst gw advmss priority
        table scope
        bridge isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend hairpinMode promiscMode vlan vlanTrunk minID
        maxID id preserveDefaultVlan macspoofchk enabledad disableContainerInterface portIsolation
        master mode linkInContainer bcqueuelen vlanId ppt
        device hwaddr kernelpath pciBusID deviceID auxiliaryCNIChainName
        owner group multiQueue selinuxContext tapContext
        ingressRate ingressBurst egressRate egressBurst unshapedSubnets shapedSubnets bandwidth
        backend iptablesAdminChainName firewalldZone ingressPolicy
        portMappings hostPort containerPort protocol hostIP snat conditionsV4 conditionsV6 masqAll markMasqBit
        externalSetMarkChain iptables nftables
        addSourceHints sysctl promisc txQLen allmulti dataDir vrfname vrf
        ranges subnet rangeStart rangeEnd resolvConf ipRanges addresses range
        daemonSocketPath request provide option skipDefault fromArg
        infinibandGUID aliases cgroupPath delegate subnetFile kubernetes kubeconfig chain policies
        IgnoreUnknown IP GATEWAY MAC K8S_POD_NAME K8S_POD_NAMESPACE K8S_POD_INFRA_CONTAINER_ID K8S_POD_UID
        net.ipv4.tcp_syncookies net.ipv4.conf.all.rp_filter net.ipv6.conf.eth0.accept_dad net.core.somaxconn
    ";

    #[test]
    fn no_member_that_the_reference_knows_is_secret() {
        for key in REFERENCE.split_whitespace() {
            assert!(!is_secret(key), "{key}");
            // Nor in another spelling.
            assert!(!is_secret(&key.to_ascii_uppercase()) && !is_secret(&key.to_ascii_lowercase()), "{key}");
        }
    }

    #[test]
    fn keys_tell() {
        for key in "password K8S_AUTH_TOKEN clientSecret client-key-data privateKey api_key psk PSK wifiPsk wifi_psk PSKs
            psk2 jwt jwtValue pem tls.pem accessKey aws_access_key_id pw PW dbPw db-pw auth authValue basicAuth auths dsn
            DSN kubeconfigData kubeconfig-data sessionid sessionId session_id session cookie setCookie cookies passcode
            pin simPin salt community snmpCommunity communityName connectionString
            connection_string sasl saslValue etcd_key etcdKey etcd-keys encryptionKey hmac_key TLSKey tlskey credentials
            credential creds DB_PASS oauth2 net.ipv6.conf.eth0.stable_secret"
            .split_whitespace()
        {
            assert!(is_secret(key), "{key}");
        }
    }

    #[test]
    fn words_inside_of_words_tell_nothing() {
        for key in "key keys Key publicKey public_key sort-key labelKeys topologyKey hairpin spinning pinned basalt author
            authority authoritative passThrough bypass compass keyboard monkey hotkey keyed sessionAffinity authMode
            auth-type jwtIssuer pemFile cookie_lifetime net.sctp.cookie_hmac_alg net.sctp.auth_enable pwm npw keyfile"
            .split_whitespace()
        {
            assert!(!is_secret(key), "{key}");
        }
    }

    #[test]
    fn names_have_words() {
        for (name, expected) in [
            ("clientCertKey", vec!["client", "cert", "key"]),
            ("DBPassword", vec!["db", "password"]),
            ("etcd_key-2", vec!["etcd", "key"]),
            ("TLSKeys", vec!["tl", "key"]),
            ("JWTs", vec!["jwt"]),
            ("K8S", vec!["k"]),
            ("a.b", vec!["a", "b"]),
            ("äÖ", vec!["äÖ"]),
            ("", vec![]),
        ] {
            assert_eq!(words(name), expected, "{name}");
        }
    }
}
