//! Files of authorities: a check that cannot read its own says nothing, for ever.

use std::collections::{BTreeMap, BTreeSet};

use crate::pfile::{AbsolutePath, Check, EntryNumber, Extension, Pfile, Place, Problem};

/// The files that `ca=` names, each once.
#[must_use]
pub fn ca_files(pfile: &Pfile) -> BTreeSet<AbsolutePath> {
    placed(pfile).map(|(_, _, path)| path.clone()).collect()
}

/// What is wrong with them, by what is wrong with each file, as a sentence.
#[must_use]
pub fn ca(pfile: &Pfile, unusable: &BTreeMap<AbsolutePath, String>) -> Vec<Problem> {
    let problem = |(number, place, path): (EntryNumber, Place, &AbsolutePath)| {
        let message = format!("{}, so no certificate can be checked against it", unusable.get(path)?);
        let hint = "name a file of certificates in PEM; until then, checks with `verify=on` say nothing";
        Some(Problem::new(Check::CaUnusable, place, message).hint(hint).of(number))
    };
    placed(pfile).filter_map(problem).collect()
}

fn placed(pfile: &Pfile) -> impl Iterator<Item = (EntryNumber, Place, &AbsolutePath)> {
    pfile.numbered().flat_map(|(number, entry)| {
        entry.value.extensions.iter().filter_map(move |extension| {
            if let Extension::Ca(path) = &extension.value { Some((number, extension.place, path)) } else { None }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::select::tests::pfile;

    #[test]
    fn each_file_is_told_where_it_stands() {
        let pfile = pfile("/a:/b:1:1:exit\n#@ ca=/x.pem\n/c:/d:1:1:exit\n#@ ca=/y.pem\n");
        let files: Vec<_> = ca_files(&pfile).iter().map(ToString::to_string).collect();
        assert_eq!(files, ["/x.pem", "/y.pem"]);
        let path = AbsolutePath::new(b"/y.pem").unwrap();
        let problems = ca(&pfile, &BTreeMap::from([(path, "/y.pem cannot be read: it is not there".to_owned())]));
        let [problem] = problems.as_slice() else { panic!("one is wanted: {problems:?}") };
        assert_eq!(problem.check, Check::CaUnusable);
        assert_eq!(problem.entry.map(EntryNumber::number), Some(2));
        assert!(problem.message.starts_with("/y.pem cannot be read: it is not there, so no"), "{}", problem.message);
    }
}
