//! The nat table of iptables as both flavours offer it: what is in it, and steps that come true together.

use std::sync::Arc;

use wharf_ops::{Attachment, Error};

use super::legacy::Legacy;
use super::nft::Nft;
use super::rule::Rule;

/// A rule that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) chain: String,
    /// None if it is of no kind that Wharf makes.
    pub(crate) rule: Option<Rule>,
    /// Whose it is, if Wharf made it.
    pub(crate) owner: Option<Attachment>,
    pub(crate) target: Option<String>,
    pub(crate) place: Place,
}

/// What the flavour deletes a rule by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Handle(u64),
    Words(String),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Fails if it is there.
    NewChain(String),
    /// With its rules.
    DeleteChain(String),
    Append(String, Rule),
    Insert(String, Rule),
    Delete(Found),
    /// Nothing is done unless the rule is there. Only of a table that was not read.
    Expect(String, Rule),
}

/// Why steps were not carried out; none of them was.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was read before is not so any more: read it again.
    Changed(Error),
    Other(Error),
}

/// Somebody else can come in between, again and again; after this many times something is wrong.
const ATTEMPTS: usize = 16;

/// The nat table of one family.
pub(crate) enum Tables<'a> {
    Nft(Nft<'a>),
    Legacy(Legacy<'a>),
}

impl Tables<'_> {
    /// How often the chain is used, or none if there is no such chain.
    pub(crate) fn chain_use(&mut self, chain: &str) -> Result<Option<u32>, Error> {
        match self {
            Self::Nft(nft) => nft.chain_use(chain),
            Self::Legacy(legacy) => Ok(legacy.chain_use(chain)),
        }
    }

    pub(crate) fn found(&mut self, chain: &str) -> Result<Arc<[Found]>, Error> {
        match self {
            Self::Nft(nft) => nft.found(Some(chain)),
            Self::Legacy(legacy) => legacy.found(Some(chain)).map(Arc::from),
        }
    }

    /// Every rule of the table.
    pub(crate) fn all(&mut self) -> Result<Arc<[Found]>, Error> {
        match self {
            Self::Nft(nft) => nft.found(None),
            Self::Legacy(legacy) => legacy.found(None).map(Arc::from),
        }
    }

    pub(crate) fn v4(&self) -> bool {
        match self {
            Self::Nft(nft) => nft.v4(),
            Self::Legacy(legacy) => legacy.v4(),
        }
    }

    /// Whether nothing is known yet, and asking would be dear.
    pub(crate) fn is_unread(&self) -> bool {
        match self {
            Self::Nft(_) => false,
            Self::Legacy(legacy) => legacy.is_unread(),
        }
    }

    /// Whether rules carry their owner unseen.
    pub(crate) fn hides_owner(&self) -> bool {
        matches!(self, Self::Nft(_))
    }

    /// Carries out what `plan` says, planning again when the table is not as it was.
    pub(crate) fn change(
        &mut self,
        owner: &Attachment,
        what: &str,
        plan: impl Fn(&mut Self) -> Result<Vec<Step>, Error>,
    ) -> Result<(), Error> {
        let mut last = Error::internal(format!("{what}: not tried"));
        for _ in 0..ATTEMPTS {
            let steps = plan(self)?;
            if steps.is_empty() {
                return Ok(());
            }
            let outcome = match self {
                Self::Nft(nft) => nft.commit(owner, &steps, what),
                Self::Legacy(legacy) => legacy.commit(&steps, what),
            };
            match outcome {
                Ok(()) => return Ok(()),
                Err(Refusal::Changed(error)) => last = error,
                Err(Refusal::Other(error)) => return Err(error),
            }
        }
        Err(last)
    }
}
