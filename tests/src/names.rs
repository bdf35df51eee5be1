//! Releases of a large mesh, named as teams name theirs: what a packed document takes depends on how much they vary.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value does not have is null")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

const AREAS: &str = "\
    accounts ads analytics billing booking catalog checkout claims compliance content customer delivery documents fleet \
    fraud fulfilment identity inventory invoicing ledger logistics loyalty marketing media messaging mobile onboarding \
    orders partners payments pricing procurement reporting returns risk search shipping stock support warehouse";
const PLACES: [&str; 6] = ["", "-eu", "-us", "-core", "-platform", "-shared"];
const THINGS: &str = "\
    account accrual address advice agent alert allocation amendment annuity approval archive arrears article asset \
    attachment attribute auction audience audit authority avatar badge balance banner basket batch beacon benefit bid \
    blueprint board bonus brand broker budget bundle cache calendar campaign capacity card carrier cart case cashback \
    category certificate channel charge chat claim clause cohort collection comment commission consent contact contract \
    conversion counter country coupon courier credit currency customer dashboard dataset deal debit delegate deposit \
    device digest directory discount dispute dock domain donation draft driver dunning email embargo employee engagement \
    entitlement episode escrow estimate event exchange experiment export feature fee feed feedback file filing flag \
    folder forecast form freight garage geocode gift goal grant graph guarantee guest handover hazard holiday hotel \
    image import incentive incident index ingest insight instalment insurance intent interest invoice issue item \
    itinerary journal journey kiosk label landing lead lease lesson licence limit link listing loan location locker \
    lookup lot mandate manifest map margin markup match meal member menu merchant message meter metric milestone model \
    module mortgage narrative note notice occupancy offer order outlet pallet parcel parking partner passport payout \
    payroll pension permit photo picking pickup pipeline plan playlist policy portfolio postcode preference premium \
    price product profile promise proof property provider purchase queue quota quote rating rebate receipt recipe \
    referral refund region reminder rental report reservation resource restock reward roster route royalty rule salary \
    sample schedule score seat segment sensor session settlement shelf shift shipment signal slot statement stream \
    subscription subsidy supplier surcharge survey tariff tax template tenant thread ticket timesheet title toll topic \
    tour tracking trade trailer transfer trip trust turnover upload usage vendor venue verdict vessel visit voucher \
    wallet warranty watchlist weather webhook weight wishlist yard zone";
const ROLES: &str = "\
    api gateway service svc backend bff worker processor engine store manager resolver sync indexer scheduler validator \
    adapter proxy notifier reader writer planner router web";
/// Of them a team makes a name that says nothing.
const SYLLABLES: &str = "\
    ka lo mi ru ta ne so vi qua zen dor bel hex arc nim fal con pyr ith ous gra tor umb el";

/// A release among many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its namespace.
    pub namespace: String,
    /// Its Service, whose name it has.
    pub service: String,
}

impl Name {
    /// The host of the Service.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.service, self.namespace)
    }
}

/// So many namespaces, at most 240, with so many releases each: the same at each call.
#[must_use]
pub fn names(namespaces: usize, releases: usize) -> Vec<Name> {
    let [areas, things, roles, syllables] = [AREAS, THINGS, ROLES, SYLLABLES].map(words);
    let mut dice = Dice(1);
    let spaces = PLACES.iter().flat_map(|place| areas.iter().map(move |area| (area, format!("{area}{place}"))));
    let mut all = Vec::with_capacity(namespaces * releases);
    for (area, namespace) in spaces.take(namespaces) {
        let mut services = BTreeSet::new();
        while services.len() < releases {
            let (thing, role) = (dice.of(&things), dice.of(&roles));
            services.insert(match dice.below(6) {
                0 => format!("{area}-{thing}-{role}"),
                1 | 2 => format!("{thing}-{}-{role}", dice.of(&things)),
                3 => [dice.of(&syllables), dice.of(&syllables), dice.of(&syllables)].concat(),
                _ => format!("{thing}-{role}"),
            });
        }
        all.extend(services.into_iter().map(|service| Name { namespace: namespace.clone(), service }));
    }
    all
}

/// A split document of these releases, as the controller would write it, in which one of them has so many buckets on its canary `v2`.
/// The others have versions, weights, keys and rules as teams choose them.
#[must_use]
pub fn document(names: &[Name], changed: usize, buckets: u32) -> Value {
    let (mut dice, things) = (Dice(2), words(THINGS));
    let splits = names.iter().enumerate().map(|(index, name)| {
        let mut split = varied(name, &mut dice, &things);
        if index == changed {
            // A run without buckets is refused.
            let runs: Vec<Value> = (buckets > 0).then(|| json!(["v2", buckets])).into_iter().collect();
            split = json!({"release": split["release"], "hosts": split["hosts"], "stable": "v1", "buckets": runs,
                "sticky": {"by": [{"cookie": "user"}]}});
        }
        split
    });
    json!({"version": 1, "splits": splits.collect::<Vec<_>>()})
}

fn varied(name: &Name, dice: &mut Dice, things: &[&'static str]) -> Value {
    let number = 1 + dice.below(60);
    let (stable, canary) = match dice.below(6) {
        0 | 1 => ("v1".to_owned(), "v2".to_owned()),
        2 => (format!("v{number}"), format!("v{}", number + 1)),
        // A commit.
        3 => (format!("{:07x}", dice.below(1 << 28)), format!("{:07x}", dice.below(1 << 28))),
        _ => {
            let (major, patch) = (1 + dice.below(6), dice.below(20));
            (format!("{major}.{number}.{patch}"), format!("{major}.{}.0", number + 1))
        }
    };
    let weight = dice.of(&[1, 2, 5, 10, 20, 25, 50]);
    let key = match dice.below(4) {
        0 => json!({"header": "x-user-id"}),
        1 => json!({"cookie": "session"}),
        _ => json!({"cookie": "user"}),
    };
    let mut split = json!({"release": format!("{}/{}", name.namespace, name.service), "hosts": [name.host()], "stable": stable,
        "buckets": [[canary, weight * 1000]], "sticky": {"by": [key]}});
    if dice.below(4) == 0 {
        let when = json!([{"header": {"name": dice.of(&["x-beta", "x-tenant", "x-internal"]), "exact": dice.of(things)}}]);
        split["rules"] = json!([{"name": "testers", "when": when, "version": canary}]);
    }
    split
}

fn words(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}

/// Numbers that look as if they were thrown, the same in each run (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn of<T: Copy + Default>(&mut self, all: &[T]) -> T {
        let index = usize::try_from(self.below(all.len() as u64)).unwrap_or_default();
        all.get(index).copied().unwrap_or_default()
    }
}
