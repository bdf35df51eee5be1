//! Rules in order, and an index of those that compare with a literal: a thousand of them cost about as much as one.

use std::sync::Arc;

use crate::engine::keying::Keying;
use crate::engine::matcher::Matcher;
use crate::engine::patterns::Patterns;
use crate::engine::shares::{Shares, Target};
use crate::engine::table::{Table, at, hash};
use crate::error::Cause;
use crate::json::value::Json;
use crate::name::{check_filled, check_version_name};
use crate::request::RequestView;
use crate::request::source::TextSource;

/// Fewer rules than this are asked one after the other.
const LEAST: usize = 8;

/// Sources that have an index; rules on further ones are asked one after the other.
const MOST: usize = 7;

/// The rules of a release.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    all: Vec<CompiledRule>,
    index: Option<Box<Index>>,
}

/// A rule of a release.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: String,
    pub(crate) when: Vec<Matcher>,
    pub(crate) target: Target,
}

/// For each rule one of its conditions, so that a request sees few rules that cannot match.
#[derive(Clone, Debug, Default)]
struct Index {
    sources: Vec<Literals>,
    /// The numbers of rules that any request may match, in order.
    rest: Vec<u32>,
}

/// The literals that rules compare one source with.
#[derive(Clone, Debug)]
struct Literals {
    source: TextSource,
    ignore_case: bool,
    /// Places in `rules`.
    table: Table,
    /// Each literal with the numbers of its rules, in order.
    rules: Vec<(String, Vec<u32>)>,
}

impl Rules {
    /// Checks that each has its own name, and makes the index.
    pub(crate) fn new(all: Vec<CompiledRule>, json: &Json<'_>) -> Self {
        let mut names = Table::default();
        for (number, rule) in (0..).zip(&all) {
            let hashed = hash(rule.name.as_bytes());
            if names.find(hashed, &mut |(other, _)| at(&all, other).is_some_and(|other| other.name == rule.name)).is_some()
                && let Some(json) = usize::try_from(number).ok().and_then(|number| json.items().nth(number))
            {
                json.member("name").fault(Cause::RuleName(rule.name.clone()));
            }
            names.insert(hashed, (number, 0));
        }
        let index = (all.len() >= LEAST).then(|| Box::new(Index::of(&all))).filter(|index| !index.sources.is_empty());
        Self { all, index }
    }

    /// All rules, in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, CompiledRule> {
        self.all.iter()
    }

    /// The first rule whose conditions all hold.
    pub(crate) fn first(&self, request: &impl RequestView) -> Option<&CompiledRule> {
        let Some(index) = &self.index else {
            return self.all.iter().find(|rule| rule.holds(request));
        };
        let mut lists: [&[u32]; MOST + 1] = [&[]; MOST + 1];
        let found = std::iter::once(&*index.rest).chain(index.sources.iter().map(|source| source.rules(request)));
        lists.iter_mut().zip(found).for_each(|(list, found)| *list = found);
        loop {
            // Each rule is in one list, so the smallest head is the next rule in order.
            let list = lists.iter_mut().filter(|list| !list.is_empty()).min_by_key(|list| list.first().copied())?;
            let (&number, behind) = list.split_first()?;
            *list = behind;
            if let Some(rule) = at(&self.all, number).filter(|rule| rule.holds(request)) {
                return Some(rule);
            }
        }
    }
}

impl CompiledRule {
    /// Whether all conditions hold.
    pub(crate) fn holds(&self, request: &impl RequestView) -> bool {
        self.when.iter().all(|matcher| matcher.holds(request))
    }

    /// The first condition that compares with literals.
    pub(crate) fn literals(&self) -> Option<(&TextSource, bool, &[String])> {
        self.when.iter().find_map(Matcher::literals)
    }

    pub(crate) fn compile(json: &Json<'_>, release: &str, base: &Arc<Keying>, patterns: &mut Patterns) -> Self {
        let [name, when, version, buckets, sticky] = &json.fields(&["name", "when", "version", "buckets", "sticky"]);
        let name = name.checked(check_filled);
        let when = when.some_items(Cause::NoCondition).read(|condition| Matcher::compile(condition, patterns));
        match (version.given(), buckets.given()) {
            (false, false) => json.fault(Cause::NoTarget),
            (true, true) => json.fault(Cause::TwoTargets),
            (true, false) if sticky.given() => sticky.fault(Cause::StickyVersion),
            _ => {}
        }
        let target = if version.given() {
            Target::Version(version.checked(check_version_name))
        } else {
            let keying = if sticky.given() { Arc::new(Keying::compile(sticky, release)) } else { Arc::clone(base) };
            Target::Shares(Shares::compile(buckets, keying))
        };
        Self { name, when, target }
    }
}

impl Index {
    fn of(all: &[CompiledRule]) -> Self {
        let mut sources: Vec<(Literals, usize)> = Vec::new();
        for (source, ignore_case, literals) in all.iter().filter_map(CompiledRule::literals) {
            match sources.iter_mut().find(|(known, _)| known.source == *source && known.ignore_case == ignore_case) {
                Some((_, count)) => *count += literals.len(),
                None => sources.push((Literals::new(source.clone(), ignore_case), literals.len())),
            }
        }
        sources.retain(|(_, count)| *count >= LEAST);
        sources.truncate(MOST);
        let mut index = Self { sources: sources.into_iter().map(|(source, _)| source).collect(), rest: Vec::new() };
        for (number, rule) in (0..).zip(all) {
            let indexed = rule.literals().and_then(|(source, ignore_case, literals)| {
                let known = |known: &&mut Literals| known.source == *source && known.ignore_case == ignore_case;
                Some((index.sources.iter_mut().find(known)?, literals))
            });
            match indexed {
                Some((source, literals)) => literals.iter().for_each(|literal| source.add(literal, number)),
                None => index.rest.push(number),
            }
        }
        index
    }
}

impl Literals {
    fn new(source: TextSource, ignore_case: bool) -> Self {
        Self { source, ignore_case, table: Table::default(), rules: Vec::new() }
    }

    fn add(&mut self, literal: &str, number: u32) {
        let (hashed, rules) = (hash(literal.as_bytes()), &mut self.rules);
        let place = self.table.find(hashed, &mut |(place, _)| at(rules, place).is_some_and(|(text, _)| text == literal));
        match place.and_then(|(place, _)| rules.get_mut(usize::try_from(place).ok()?)) {
            // One rule may list a literal twice.
            Some((_, numbers)) if numbers.last() == Some(&number) => {}
            Some((_, numbers)) => numbers.push(number),
            None => {
                self.table.insert(hashed, (u32::try_from(rules.len()).unwrap_or(u32::MAX), 0));
                rules.push((literal.to_owned(), vec![number]));
            }
        }
    }

    /// The rules whose literal is the request's value.
    fn rules(&self, request: &impl RequestView) -> &[u32] {
        let Some(value) = self.source.value(request) else {
            return &[];
        };
        if self.ignore_case { self.find(&value.to_ascii_lowercase()) } else { self.find(&value) }
    }

    fn find(&self, value: &[u8]) -> &[u32] {
        let same = |(place, _)| at(&self.rules, place).is_some_and(|(text, _)| text.as_bytes() == value);
        let place = self.table.probe(hash(value), same);
        place.and_then(|(place, _)| at(&self.rules, place)).map_or(&[], |(_, numbers)| numbers)
    }
}
