//! The interpreter of a script: the kernel says of one that is missing only that the script itself is.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

/// So much of a script is looked at by the kernel.
/// <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/binfmts.h#L19>
const LOOKED_AT: u64 = 256;

/// Why the interpreter that a script names in its first line cannot run it, as a sentence, where that is certain. What
/// `/usr/bin/env` is to find is not looked for: it depends on the environment.
#[must_use]
pub fn trouble(script: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(script).ok()?.take(LOOKED_AT).read_to_end(&mut text).ok()?;
    let named = named(&text)?;
    let shown = String::from_utf8_lossy(named).escape_debug().to_string();
    if named.ends_with(b"\r") {
        return Some(format!("its lines end as on Windows, so the interpreter would be `{shown}`"));
    }
    // Scripts are run in this folder.
    match fs::metadata(Path::new("/").join(OsStr::from_bytes(named))) {
        Ok(data) if data.is_file() && data.mode() & 0o111 != 0 => None,
        Ok(_) => Some(format!("the interpreter that its first line names cannot be executed: {shown}")),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Some(format!("the interpreter that its first line names does not exist: {shown}"))
        }
        Err(_) => None,
    }
}

/// The first word after `#!`. Without one, or if it does not end where the kernel still looks, the shell runs the script.
fn named(text: &[u8]) -> Option<&[u8]> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let rest = text.strip_prefix(b"#!")?;
    let start = rest.iter().position(|byte| !is_blank(byte))?;
    let rest = rest.get(start..)?;
    let end = rest.iter().position(|byte| is_blank(byte) || matches!(byte, b'\n' | b'\0'));
    let end = end.or_else(|| ((text.len() as u64) < LOOKED_AT).then_some(rest.len()))?;
    rest.get(..end).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read_as_the_kernel_reads_it() {
        for (text, word) in [
            ("#!/bin/sh\necho", Some("/bin/sh")),
            ("#! /bin/sh -e\n", Some("/bin/sh")),
            ("#!\t/usr/bin/env bash", Some("/usr/bin/env")),
            ("#!/bin/sh", Some("/bin/sh")),
            ("#!/bin/sh\r\n", Some("/bin/sh\r")),
            ("#!\necho", None),
            ("#!", None),
            ("echo #!/bin/sh\n", None),
            ("", None),
        ] {
            assert_eq!(named(text.as_bytes()), word.map(str::as_bytes), "{text:?}");
        }
        assert_eq!(named(&[b"#!".as_slice(), &[b'x'; 254]].concat()), None, "who knows how it goes on");
    }

    #[test]
    fn an_interpreter_must_be_there_and_be_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = |text: &str| {
            fs::write(file.path(), text).unwrap();
            trouble(file.path())
        };
        assert_eq!(of("#!/bin/sh\n"), None);
        assert_eq!(of("#!/usr/bin/env nosuchshell\n"), None);
        assert_eq!(of("echo\n"), None);
        assert!(of("#!/bin/nosuchshell -e\n").unwrap().ends_with("does not exist: /bin/nosuchshell"));
        assert!(of("#!/dev/null\n").unwrap().contains("cannot be executed"));
        assert!(of("#!/bin/sh\r\n").unwrap().contains(r"`/bin/sh\r`"));
        assert_eq!(trouble(Path::new("/no/such/script")), None);
    }
}
