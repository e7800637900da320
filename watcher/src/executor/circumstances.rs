//! Where and as what this process runs, as far as watching for another one would be another watching: that one would see
//! other processes, files, addresses or names, or have other rights.

use std::{collections::BTreeMap, env, fs, os::unix::fs::MetadataExt as _};

/// Of these, `/proc/self/ns` tells which it is. The others matter to scripts only.
const NAMESPACES: [&str; 5] = ["mnt", "net", "pid", "time", "user"];

/// Lines of `/proc/self/status`: who it is, and what it may do at most. Both look before they give anything up.
const RIGHTS: [&str; 6] = ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapBnd:", "NoNewPrivs:"];

/// By these the C library looks up names, and certificates are found.
const VARIABLES: [&str; 5] = ["HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "SSL_CERT_DIR", "SSL_CERT_FILE"];

/// By name, as a sentence may name them.
#[must_use]
pub fn own() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for name in NAMESPACES {
        // One that this kernel does not have is the same for all.
        let link = fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default();
        all.insert(format!("{name} namespace"), link.display().to_string());
    }
    let root = fs::metadata("/").map_or_else(|_| String::new(), |data| format!("{}:{}", data.dev(), data.ino()));
    all.insert("root folder".to_owned(), root);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for name in RIGHTS {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        all.insert(format!("{} (/proc/self/status)", name.trim_end_matches(':')), value.trim().to_owned());
    }
    for name in VARIABLES {
        let value = env::var_os(name).unwrap_or_default();
        all.insert(format!("variable {name}"), value.to_string_lossy().into_owned());
    }
    all
}

/// The first thing in which two differ.
#[must_use]
pub fn difference(ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) -> Option<String> {
    let mut names = ours.keys().chain(theirs.keys());
    names.find(|name| ours.get(*name) != theirs.get(*name)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_does_not_differ_from_itself_and_a_difference_is_named() {
        let ours = own();
        assert!(ours["pid namespace"].starts_with("pid:["), "{ours:?}");
        assert!(!ours["Uid (/proc/self/status)"].is_empty(), "{ours:?}");
        assert_eq!(difference(&ours, &own()), None);
        let mut theirs = own();
        theirs.insert("net namespace".to_owned(), "net:[1]".to_owned());
        assert_eq!(difference(&ours, &theirs).as_deref(), Some("net namespace"));
        theirs = own();
        theirs.remove("root folder");
        assert_eq!(difference(&ours, &theirs).as_deref(), Some("root folder"));
        assert_eq!(difference(&BTreeMap::new(), &ours).as_deref(), Some("CapBnd (/proc/self/status)"));
    }
}
