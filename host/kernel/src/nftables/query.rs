//! Questions to nf_tables. Those about one name or one key cost the same however many attachments there are.

use wharf_ops::Error;

use crate::netlink::{Builder, NetlinkError, Socket};

use super::encode::{DATA_VALUE, ELEMENT, read, verdict};
use super::expr::{Expr, Verdict};
use super::transaction::{Table, put_element};

const GETCHAIN: u16 = 0x0a00 + 4;
const GETRULE: u16 = 0x0a00 + 7;
const GETSETELEM: u16 = 0x0a00 + 13;
const GETGEN: u16 = 0x0a00 + 16;
const HEADER: usize = 4;
/// NFT_NAME_MAXLEN without the NUL. Asked for a longer name, the kernel answers ERANGE and not that there is none.
const LONGEST_NAME: usize = 255;

/// A rule as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) chain: String,
    pub(crate) handle: u64,
    pub(crate) exprs: Vec<Expr>,
    pub(crate) userdata: Vec<u8>,
}

impl Installed {
    /// The chain that the rule's last expression jumps to.
    pub(crate) fn target(&self) -> Option<&str> {
        match self.exprs.last() {
            Some(Expr::Verdict(Verdict::Jump(chain))) => Some(chain),
            _ => None,
        }
    }
}

/// Whether the kernel has nf_tables at all.
pub(crate) fn works(socket: &mut Socket) -> Result<bool, Error> {
    match ask_generation(socket) {
        Ok(_) => Ok(true),
        // nfnetlink knows no such subsystem, or refuses this message of it.
        Err(error) if matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT)) => {
            Ok(false)
        }
        Err(error) => Err(error.explain("asking for nf_tables")),
    }
}

/// The generation of the rule set: another one after each change of anybody's.
pub(crate) fn generation(socket: &mut Socket) -> Result<u32, Error> {
    match ask_generation(socket) {
        Ok(Some(generation)) => Ok(generation),
        Ok(None) => Err(Error::internal("nf_tables has rules of no generation")),
        Err(error) => Err(error.explain("asking for the generation of nf_tables")),
    }
}

fn ask_generation(socket: &mut Socket) -> Result<Option<u32>, NetlinkError> {
    let body = |b: &mut Builder| {
        b.raw(&[0, 0, 0, 0]);
    };
    socket.get(GETGEN, body, |message| message.attributes(HEADER).find(1).and_then(|id| id.be32()))
}

/// How often a chain is used (its rules, and the jumps to it), or none if there is no such chain.
pub(crate) fn chain_use(socket: &mut Socket, table: Table, chain: &str) -> Result<Option<u32>, Error> {
    if chain.len() > LONGEST_NAME {
        return Ok(None);
    }
    let body = |b: &mut Builder| {
        b.raw(&[table.family, 0, 0, 0]).text(1, table.name).text(3, chain);
    };
    let answer = socket.get(GETCHAIN, body, |message| {
        message.attributes(HEADER).find(6).and_then(|used| used.be32()).unwrap_or(0)
    });
    absent(answer).map_err(|error| error.explain(format!("looking for chain {chain} in table {table}")))
}

/// The rules of a chain, or of all chains of the table; none if there is no such chain.
pub(crate) fn rules(socket: &mut Socket, table: Table, chain: Option<&str>) -> Result<Vec<Installed>, Error> {
    if chain.is_some_and(|chain| chain.len() > LONGEST_NAME) {
        return Ok(Vec::new());
    }
    let body = |b: &mut Builder| {
        b.raw(&[table.family, 0, 0, 0]).text(1, table.name);
        if let Some(chain) = chain {
            b.text(2, chain);
        }
    };
    let rules = socket.dump(GETRULE, body, |message| {
        let attributes = message.attributes(HEADER);
        // Kernels without these filters answer everything of the family.
        let in_table = attributes.find(1)?.text()? == table.name;
        let name = attributes.find(2)?.text()?;
        if !in_table || chain.is_some_and(|chain| chain != name) {
            return None;
        }
        Some(Installed {
            chain: name.to_owned(),
            handle: attributes.find(3)?.be64()?,
            exprs: attributes.find(4).map(|list| read(list.nested())).unwrap_or_default(),
            userdata: attributes.find(7).map(|data| data.value.to_vec()).unwrap_or_default(),
        })
    });
    match absent(rules) {
        Ok(rules) => Ok(rules.unwrap_or_default()),
        Err(error) => Err(error.explain(format!("reading the rules of table {table}"))),
    }
}

/// Where the map leads with that key.
pub(crate) fn element(
    socket: &mut Socket,
    table: Table,
    map: &str,
    key: &[u8],
) -> Result<Option<Verdict>, Error> {
    let body = |b: &mut Builder| {
        b.raw(&[table.family, 0, 0, 0]).text(1, table.name).text(2, map);
        b.nested(3, |b| {
            b.nested(ELEMENT, |b| put_element(b, key, None));
        });
    };
    let answer = socket.get(GETSETELEM, body, |message| {
        let element = message.attributes(HEADER).find(3)?.nested().find(ELEMENT)?;
        verdict(element.nested().find(2)?.nested())
    });
    match absent(answer) {
        Ok(verdict) => Ok(verdict.flatten()),
        Err(error) => Err(error.explain(format!("looking into map {map} of table {table}"))),
    }
}

/// All that is in a map.
pub(crate) fn elements(
    socket: &mut Socket,
    table: Table,
    map: &str,
) -> Result<Vec<(Vec<u8>, Verdict)>, Error> {
    let body = |b: &mut Builder| {
        b.raw(&[table.family, 0, 0, 0]).text(1, table.name).text(2, map);
    };
    let answers = socket.dump(GETSETELEM, body, |message| {
        let list = message.attributes(HEADER).find(3)?.nested();
        let elements = list.filter(|element| element.kind == ELEMENT).filter_map(|element| {
            let key = element.nested().find(1)?.nested().find(DATA_VALUE)?.value.to_vec();
            Some((key, verdict(element.nested().find(2)?.nested())?))
        });
        Some(elements.collect::<Vec<_>>())
    });
    match absent(answers) {
        Ok(answers) => Ok(answers.unwrap_or_default().concat()),
        Err(error) => Err(error.explain(format!("reading map {map} of table {table}"))),
    }
}

fn absent<T>(answer: Result<T, NetlinkError>) -> Result<Option<T>, NetlinkError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.errno() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
