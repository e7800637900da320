//! Hosts of stall checks that have no address: nobody could be asked, for ever, and nothing would tell.

use std::collections::{BTreeMap, BTreeSet};

use crate::pfile::{Bytes, Check, EntryNumber, Pfile, Placed, Problem};

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nameless {
    /// There is no such name, as the resolver says.
    Unknown(String),
    /// The resolver cannot say. Later it may.
    Unanswered(String),
}

/// The hosts that stall checks ask, each once.
#[must_use]
pub fn hosts(pfile: &Pfile) -> BTreeSet<Bytes> {
    placed(pfile).map(|(_, host)| host.value.clone()).collect()
}

/// What is wrong with them.
#[must_use]
pub fn names(pfile: &Pfile, nameless: &BTreeMap<Bytes, Nameless>) -> Vec<Problem> {
    let problem = |(number, host): (_, &Placed<Bytes>)| {
        let problem = |check, message| Problem::new(check, host.place, message);
        let problem = match nameless.get(&host.value)? {
            Nameless::Unknown(why) => {
                let message = format!("the host `{}` has no address: {why}", host.value);
                problem(Check::UnresolvedHost, message).hint("correct the name, or write `-` for this host")
            }
            Nameless::Unanswered(why) => {
                let message = format!("the address of the host `{}` cannot be found out now: {why}", host.value);
                problem(Check::SilentResolver, message).hint("until it can, this check says nothing")
            }
        };
        Some(problem.of(number))
    };
    placed(pfile).filter_map(problem).collect()
}

/// With the numbers of their entries.
fn placed(pfile: &Pfile) -> impl Iterator<Item = (EntryNumber, &Placed<Bytes>)> {
    pfile.numbered().flat_map(|(number, entry)| {
        entry.value.stall_checks.iter().filter_map(move |check| Some((number, check.value.target().host.as_ref()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfile::select::tests::pfile;

    #[test]
    fn each_name_is_told_where_it_stands() {
        let block = |host: &str| {
            format!(
                "_bi_webserv {{\nPS_INIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n\
                 PS_EXEC DLL:/lib_bi_webserv.so:DIRECT:-:60:0:3:600:80:{host}\n\
                 PS_ACTION DLL:/lib_bi_webserv.so:DIRECT:-:-:1:0\nPS_QUIT DLL:/lib_bi_webserv.so:DIRECT:-:-:-:0\n}}\n"
            )
        };
        let text = format!("/a:/b:1:1:exit\n{}{}/c:/d:1:1:exit\n{}", block("gone"), block("-"), block("slow"));
        let pfile = pfile(&text);
        let known = hosts(&pfile);
        assert_eq!(known.iter().map(ToString::to_string).collect::<Vec<_>>(), ["gone", "slow"]);
        let nameless = BTreeMap::from([
            (Bytes::from("gone"), Nameless::Unknown("it never was".to_owned())),
            (Bytes::from("slow"), Nameless::Unanswered("no answer".to_owned())),
        ]);
        let problems = names(&pfile, &nameless);
        let told: Vec<_> = problems.iter().map(|problem| (problem.check, problem.message.as_str())).collect();
        assert_eq!(
            told,
            [
                (Check::UnresolvedHost, "the host `gone` has no address: it never was"),
                (Check::SilentResolver, "the address of the host `slow` cannot be found out now: no answer"),
            ]
        );
        assert_eq!(problems[0].place.end - problems[0].place.start, 4, "the name itself");
    }
}
