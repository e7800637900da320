//! Archives that the kernel unpacks as its first file system: cpio, format `newc`.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive. Several of them, one after the other, are one archive too.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(crate) fn folder(&mut self, path: &str) {
        self.entry(path, FOLDER | 0o755, &[]);
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, FILE | mode, content);
    }

    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.entry(path, LINK | 0o777, to.as_bytes());
    }

    /// A copy of a file of this host, with its mode.
    pub(crate) fn copy(&mut self, path: &str, from: &Path) -> io::Result<()> {
        let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
        self.file(path, mode, &fs::read(from)?);
        Ok(())
    }

    /// The archive with its end mark.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    /// Everything belongs to root. Folders come before what is in them.
    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let (links, length, name) = (1, content.len(), path.len() + 1);
        let fields = [self.entries as usize, mode as usize, 0, 0, links, 0, length, 0, 0, 0, 0, name, 0];
        self.bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| self.bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_name_their_length() {
        let mut archive = Archive::default();
        archive.folder("a");
        archive.file("a/b", 0o644, b"12345");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(text.matches("070701").count(), 3);
        // Every header has 110 bytes; name and padding make it 112.
        let second = text.get(112..).unwrap_or_default();
        assert!(second.starts_with("07070100000002000081a4"), "{second}");
        assert!(second.contains("00000005") && second.contains("a/b\0\0\x0012345"), "{second:?}");
    }
}
