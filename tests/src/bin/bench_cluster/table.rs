//! What is printed: a table on a terminal, else JSON.

use std::io::IsTerminal;

use serde_json::{Map, Value};

use crate::Result;
use crate::istiod::Costs;
use crate::push::Push;

/// Names and values, in order.
#[derive(Default)]
pub(crate) struct Rows(Vec<(String, String)>);

impl Rows {
    pub(crate) fn add(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned(), value));
    }

    /// What one change costs istiod, for each sidecar, and as a part of what one of a VirtualService costs.
    pub(crate) fn costs(&mut self, Costs { virtual_service, serin, large }: &Costs) {
        let base = virtual_service.median();
        let title = "one weight changed, 60 sidecars";
        self.add(title, "istiod's CPU (quartiles) and bytes for each; as parts of the VirtualService's".to_owned());
        for (name, pushes) in
            [("1 000 VirtualServices", virtual_service), ("1 000 releases", serin), ("10 000 releases", large)]
        {
            let Push { cpu, bytes, answers, first, all } = pushes.median();
            let [low, high] = [0.25, 0.75].map(|share| pushes.at(share, |round| round.cpu));
            let istiod = format!("{cpu:.2} ms ({low:.2} to {high:.2}), {:.0} KB", bytes / 1000.0);
            let ratios = format!("{:.3} and {:.3}", cpu / base.cpu, bytes / base.bytes);
            self.add(&format!("1 of {name}"), format!("{istiod}; {ratios}"));
            self.add(
                &format!("1 of {name}, seen after"),
                format!("{first:.0} ms by the first, {all:.0} ms by all, in {answers:.1} answers each"),
            );
        }
    }

    pub(crate) fn print(self) -> Result<()> {
        if std::io::stdout().is_terminal() {
            for (name, value) in &self.0 {
                println!("  {name:<42}{value}");
            }
        } else {
            let object: Map<String, Value> = self.0.into_iter().map(|(name, value)| (name, value.into())).collect();
            println!("{}", serde_json::to_string_pretty(&object)?);
        }
        Ok(())
    }
}
