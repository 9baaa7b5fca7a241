use std::{io::Read, path::PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{data_dir, print_json};
use crate::{
    config::Config,
    login::{
        identity::{Claims, Identity},
        mapping::{self, Whereabouts},
    },
    store::member,
};

/// Claims are not longer, in bytes.
const LONGEST: u64 = 4 << 20;

/// What `tombolo mapping` can do.
#[derive(Subcommand)]
pub enum MappingCommand {
    /// Say who would get which role, and why, rule by rule; nothing is changed
    #[command(after_help = "\
The claims are what a provider says of a person, as one JSON object:
  echo '{\"groups\": [\"class-3b\"]}' | tombolo mapping test --claims -")]
    Test {
        /// A file with the claims; - for standard input
        #[arg(long, value_name = "FILE")]
        claims: PathBuf,
        /// The provider that says so; the only one when there is one
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(config: &Config, command: MappingCommand) -> anyhow::Result<()> {
    let MappingCommand::Test { claims, provider, json } = command;
    let names: Vec<_> = config.login.provider.iter().map(|provider| provider.name.as_str()).collect();
    let provider = match (&provider, &names[..]) {
        (Some(name), _) if names.contains(&name.as_str()) => name.clone(),
        (Some(name), _) => bail!("there is no provider {name:?}; there are: {}", names.join(", ")),
        (None, [only]) => (*only).to_owned(),
        (None, []) => bail!("there is no [[login.provider]] in the configuration, so nobody gets anything"),
        (None, _) => bail!("say which provider says so: --provider {}", names.join(" or ")),
    };
    let issuer = config.login.provider.iter().find(|one| one.name == provider).map(|one| one.issuer.as_str());
    let claims = read(&claims, issuer.unwrap_or_default())?;
    let verdicts = mapping::judge(&config.login.mapping, &provider, &claims.all)?;
    let projects: Vec<String> = {
        let db = data_dir::open_store(config).await?;
        db.read(member::project_names).await?.into_values().collect()
    };
    // What becomes of a project's name depends on what there is.
    let fate = |given: &mapping::Given| match &given.at {
        Whereabouts::Project { name, .. } if projects.contains(name) => "given",
        Whereabouts::Project { create: true, .. } => "given, and the project is made",
        Whereabouts::Project { .. } => "not given: there is no such project, and the rule does not say create_projects",
        Whereabouts::Site(_) | Whereabouts::Federation => "given",
    };
    if json {
        let rules: Vec<_> = verdicts
            .iter()
            .map(|verdict| {
                let gives: Vec<_> =
                    verdict.gives.iter().map(|given| json!({ "role": given, "outcome": fate(given) })).collect();
                json!({ "number": verdict.number, "rule": verdict.rule, "gives": gives, "why": verdict.why })
            })
            .collect();
        return print_json(&json!({ "provider": provider, "rules": rules }));
    }
    for verdict in &verdicts {
        println!("rule {}  {}", verdict.number, verdict.rule);
        for given in &verdict.gives {
            println!("  gives {given}: {}", fate(given));
        }
        if verdict.gives.is_empty() {
            println!("  gives nothing");
        }
        verdict.why.iter().for_each(|why| println!("  because {why}"));
    }
    let count = verdicts.iter().flat_map(|verdict| &verdict.gives).filter(|one| fate(one).starts_with("given")).count();
    println!("{count} roles in all; without any, nobody is let in");
    Ok(())
}

fn read(file: &std::path::Path, issuer: &str) -> anyhow::Result<Claims> {
    let name = file.display();
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|opened| opened.take(LONGEST).read_to_string(&mut text))
    };
    let length = read.with_context(|| format!("cannot read {name}"))?;
    ensure!((length as u64) < LONGEST, "{name} is longer than {LONGEST} bytes");
    let said: Value = serde_json::from_str(&text).with_context(|| format!("{name} is no JSON"))?;
    let Value::Object(all) = said else { bail!("{name} must hold one JSON object, with the claims as its members") };
    let subject = all.get("sub").and_then(Value::as_str).unwrap_or("somebody").to_owned();
    Ok(Claims::new(Identity::new(issuer, &subject)?, all)?)
}
