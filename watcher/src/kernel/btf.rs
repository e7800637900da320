//! Reads structure layouts from the type information (BTF) of the running kernel.
//!
//! Only what offsets need: one pass over the types, nothing kept but where each begins. (The general parsers build the
//! whole type graph, tens of megabytes, or carry a licence that a static binary cannot meet.)
//! Format: <https://docs.kernel.org/bpf/btf.html>

use thiserror::Error;

/// Why no answer came out of the type information.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// The bytes are not BTF.
    #[error("its content is not valid BTF (at byte {at})")]
    Malformed {
        /// Offset of the offence.
        at: usize,
    },
    /// The kernel has no such structure or member.
    #[error("it has no {what}")]
    Absent {
        /// `struct` or `struct.member`.
        what: String,
    },
}

const MAGIC: u16 = 0xEB9F;

/// Kinds of types that matter here; the others only have to be skipped.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// Anonymous members nest a few levels deep; typedef chains are short. Beyond this the data is damaged.
const DEEPEST: u32 = 32;

/// Type information, indexed.
pub(super) struct Btf<'a> {
    types: Words<'a>,
    strings: &'a [u8],
    /// Offset of each type within `types`, by type number less one.
    starts: Vec<u32>,
}

/// A type as its header tells it.
struct Type {
    at: usize,
    name: u32,
    kind: u32,
    /// Count of members, parameters or the like.
    count: usize,
    /// Whether member offsets carry bitfield sizes in their top byte.
    flag: bool,
    /// Size, or number of the type referred to.
    size_or_type: u32,
}

/// Where a member lies within its structure.
struct Member {
    bits: u32,
    /// Bits of a bitfield, else 0.
    width: u32,
    /// Number of its type.
    its_type: u32,
}

impl<'a> Btf<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let header = Words(bytes);
        let malformed = |at| BtfError::Malformed { at };
        if bytes.get(..2).map(|magic| magic == MAGIC.to_ne_bytes()) != Some(true) {
            return Err(malformed(0));
        }
        let [header_length, types_at, types_length, strings_at, strings_length] =
            [4, 8, 12, 16, 20].map(|at| header.get(at).map(|word| word as usize));
        let section = |at: Result<usize, BtfError>, length: Result<usize, BtfError>| {
            let start = header_length.clone()?.checked_add(at?).ok_or_else(|| malformed(8))?;
            let end = start.checked_add(length?).ok_or_else(|| malformed(12))?;
            bytes.get(start..end).ok_or_else(|| malformed(end))
        };
        let types = Words(section(types_at, types_length)?);
        let strings = section(strings_at, strings_length)?;
        let mut btf = Self { types, strings, starts: Vec::new() };
        let mut at = 0;
        while at < btf.types.0.len() {
            btf.starts.push(u32::try_from(at).map_err(|_too_large| malformed(at))?);
            let Type { kind, count, .. } = btf.type_at(at)?;
            at += 12 + trailing_bytes(kind, count).ok_or_else(|| malformed(at))?;
        }
        Ok(btf)
    }

    /// Offset in bytes of `structure.path`, where `path` may go through members that are structures: `a.b`.
    pub(super) fn offset_of(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let absent = || BtfError::Absent { what: format!("{structure}.{path}") };
        let mut holder = self.structure(structure)?;
        let mut bits = 0;
        for member in path.split('.') {
            let found = self.member(&holder, member, 0)?.ok_or_else(absent)?;
            bits += found.bits;
            holder = self.resolve(found.its_type)?;
        }
        if bits % 8 == 0 { Ok(bits / 8) } else { Err(absent()) }
    }

    /// The bits that an integer member takes, as a mask of the 32-bit word that begins where it begins.
    pub(super) fn mask_of(&self, structure: &str, member: &str) -> Result<u32, BtfError> {
        let absent = || BtfError::Absent { what: format!("{structure}.{member} of a width that is known") };
        let holder = self.structure(structure)?;
        let found = self.member(&holder, member, 0)?.ok_or_else(absent)?;
        let width = match found.width {
            0 => self.resolve(found.its_type)?.size_or_type.saturating_mul(8),
            width => width,
        };
        match width {
            32 => Ok(u32::MAX),
            1..32 => Ok((1 << width) - 1),
            _ => Err(absent()),
        }
    }

    /// Size in bytes of a structure.
    pub(super) fn size_of(&self, structure: &str) -> Result<u32, BtfError> {
        self.structure(structure).map(|found| found.size_or_type)
    }

    /// Number of parameters of the function type that a typedef of this name points to.
    pub(super) fn parameters_of(&self, typedef: &str) -> Result<usize, BtfError> {
        let prototype = self.find(typedef, &[kind::TYPEDEF])?;
        let pointer = self.type_by_number(prototype.size_or_type)?;
        Ok(self.type_by_number(pointer.size_or_type)?.count)
    }

    fn structure(&self, name: &str) -> Result<Type, BtfError> {
        self.find(name, &[kind::STRUCT, kind::UNION])
    }

    fn find(&self, name: &str, kinds: &[u32]) -> Result<Type, BtfError> {
        for &start in &self.starts {
            let candidate = self.type_at(start as usize)?;
            if kinds.contains(&candidate.kind) && self.name_is(candidate.name, name) {
                return Ok(candidate);
            }
        }
        Err(BtfError::Absent { what: name.to_owned() })
    }

    /// A member, also inside anonymous members.
    fn member(&self, holder: &Type, name: &str, depth: u32) -> Result<Option<Member>, BtfError> {
        if depth > DEEPEST || ![kind::STRUCT, kind::UNION].contains(&holder.kind) {
            return Ok(None);
        }
        for index in 0..holder.count {
            let at = holder.at + 12 + index * 12;
            let [member_name, member_type, offset] =
                [self.types.get(at)?, self.types.get(at + 4)?, self.types.get(at + 8)?];
            let (bits, width) = if holder.flag { (offset & 0x00ff_ffff, offset >> 24) } else { (offset, 0) };
            if self.name_is(member_name, name) {
                return Ok(Some(Member { bits, width, its_type: member_type }));
            }
            if self.name_is(member_name, "")
                && let Some(found) = self.member(&self.resolve(member_type)?, name, depth + 1)?
            {
                return Ok(Some(Member { bits: bits.saturating_add(found.bits), ..found }));
            }
        }
        Ok(None)
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, number: u32) -> Result<Type, BtfError> {
        const NAMES: [u32; 5] = [kind::TYPEDEF, kind::VOLATILE, kind::CONST, kind::RESTRICT, kind::TYPE_TAG];
        let mut found = self.type_by_number(number)?;
        for _ in 0..DEEPEST {
            if !NAMES.contains(&found.kind) {
                break;
            }
            found = self.type_by_number(found.size_or_type)?;
        }
        Ok(found)
    }

    fn type_by_number(&self, number: u32) -> Result<Type, BtfError> {
        let start = (number as usize).checked_sub(1).and_then(|index| self.starts.get(index));
        self.type_at(*start.ok_or(BtfError::Malformed { at: 0 })? as usize)
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        let [name, info, size_or_type] = [self.types.get(at)?, self.types.get(at + 4)?, self.types.get(at + 8)?];
        let (kind, count, flag) = (info >> 24 & 0x1f, (info & 0xffff) as usize, info >> 31 == 1);
        Ok(Type { at, name, kind, count, flag, size_or_type })
    }

    fn name_is(&self, at: u32, name: &str) -> bool {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// Bytes that follow the header of a type.
fn trailing_bytes(kind: u32, count: usize) -> Option<usize> {
    match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => Some(4),
        kind::ARRAY => Some(12),
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => Some(12 * count),
        kind::ENUM | kind::FUNC_PROTO => Some(8 * count),
        1..=kind::ENUM64 => Some(0),
        _ => None,
    }
}

/// Bytes, read as 32-bit words.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn get(&self, at: usize) -> Result<u32, BtfError> {
        let word = self.0.get(at..).and_then(<[u8]>::first_chunk);
        word.map(|bytes| u32::from_ne_bytes(*bytes)).ok_or(BtfError::Malformed { at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int first; struct { int inner; }; }`, `struct inner_only`, and the typedef of a prototype.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0outer\0first\0inner\0callback\0";
        let types: [u32; 37] = [
            1,
            kind::INT << 24,
            4,
            32, // 1: int
            0,
            kind::STRUCT << 24 | 1,
            4,
            17,
            1,
            0, // 2: struct { int inner; }
            5,
            kind::STRUCT << 24 | 2,
            8,
            11,
            1,
            0,
            0,
            2,
            32, // 3: struct outer
            0,
            kind::FUNC_PROTO << 24 | 3,
            0,
            0,
            1,
            0,
            1,
            0,
            1, // 4: int (*)(int, int, int), less the pointer
            0,
            2 << 24,
            4, // 5: pointer to 4
            23,
            kind::TYPEDEF << 24,
            5, // 6: callback
            0,
            kind::CONST << 24,
            1, // 7: const int
        ];
        let types: Vec<u8> = types.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let header = [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32];
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_also_inside_anonymous_ones() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset_of("outer", "first"), Ok(0));
        assert_eq!(btf.offset_of("outer", "inner"), Ok(4));
        assert_eq!(btf.mask_of("outer", "inner"), Ok(u32::MAX));
        assert_eq!(btf.size_of("outer"), Ok(8));
        assert_eq!(btf.parameters_of("callback"), Ok(3));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset_of("outer", "third").unwrap_err().to_string(), "it has no outer.third");
        assert_eq!(btf.size_of("nobody").unwrap_err().to_string(), "it has no nobody");
    }

    #[test]
    fn damage_of_any_kind_is_an_error_and_never_a_panic() {
        let bytes = sample();
        for length in 0..bytes.len() {
            let damaged = bytes.get(..length).unwrap();
            if let Ok(btf) = Btf::parse(damaged) {
                let _answer = btf.offset_of("outer", "inner");
            }
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            *damaged.get_mut(at).unwrap() ^= 0xff;
            if let Ok(btf) = Btf::parse(&damaged) {
                let _answers = (btf.mask_of("outer", "inner"), btf.parameters_of("callback"));
            }
        }
    }
}
