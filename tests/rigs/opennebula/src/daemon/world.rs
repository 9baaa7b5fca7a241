//! What is there when the daemon starts: what a fresh installation has.

use std::path::PathBuf;
use std::time::Instant;

use super::acl::Rule;
use super::datastores::Datastore;
use super::groups::Group;
use super::hosts::{Cluster, Host};
use super::objects::{Kind, Ownership, Pool};
use super::security_groups::SecurityGroup;
use super::users::User;
use super::{Daemon, seconds};
use crate::settings::Settings;
use crate::template::{Parts, Template};

/// The identifiers that people make begin here; those of the installation are below.
const FIRST: i32 = 100;

impl Daemon {
    /// A fresh installation: users, groups and rules, a cluster, three datastores, no host.
    pub fn new(settings: Settings, directory: PathBuf) -> Self {
        let mut daemon = Self {
            users: Pool::starting_at(0),
            groups: Pool::starting_at(0),
            rules: Pool::starting_at(0),
            clusters: Pool::starting_at(0),
            hosts: Pool::starting_at(0),
            datastores: Pool::starting_at(0),
            images: Pool::starting_at(0),
            templates: Pool::starting_at(0),
            machines: Pool::starting_at(0),
            networks: Pool::starting_at(0),
            security_groups: Pool::starting_at(0),
            marketplaces: Pool::starting_at(FIRST),
            apps: Pool::starting_at(0),
            events: std::collections::BinaryHeap::new(),
            sequence: 0,
            jobs: Vec::new(),
            driver_failures: Vec::new(),
            frozen_machines: None,
            moment: Instant::now(),
            settings,
            directory,
        };
        daemon.add_people();
        daemon.add_infrastructure();
        daemon
    }

    fn add_people(&mut self) {
        self.groups.add(Group::new(0, "oneadmin"));
        let mut users = Group::new(1, "users");
        let views = [
            ("DEFAULT_VIEW", "cloud"),
            ("GROUP_ADMIN_DEFAULT_VIEW", "groupadmin"),
            ("GROUP_ADMIN_VIEWS", "groupadmin,cloud"),
            ("VIEWS", "cloud"),
        ];
        users.template.push_vector("SUNSTONE", views.map(|(name, view)| (name.to_owned(), view.to_owned())).into());
        self.groups.add(users);
        self.groups.continue_at(FIRST);
        self.users.add(User::new(0, "oneadmin", &self.settings.password, "core", 0));
        self.users.add(User::new(1, "serveradmin", "", "server_cipher", 0));
        let bits = |kinds: &[Kind]| kinds.iter().fold(0, |bits, kind| bits | kind.bit());
        let local = 0x1_0000_0000;
        // Documents, machine groups and backup jobs, which are not simulated, belong to the first rule.
        let made = bits(&[Kind::Machine, Kind::Image, Kind::Template, Kind::SecurityGroup]) | 0x12_0400_0000_0000;
        self.rules.add(Rule::for_group(1, made, 8));
        self.rules.add(Rule::for_all(0x800_0000_0000 << 4, 1));
        self.rules.add(Rule::for_all(bits(&[Kind::Marketplace, Kind::App]), 1));
        self.rules.add(Rule { zone: local, ..Rule::for_group(1, Kind::Host.bit(), 2) });
        self.rules.add(Rule { zone: local, ..Rule::for_group(1, Kind::Network.bit(), 1) });
        self.rules.add(Rule { zone: local, ..Rule::for_group(1, Kind::Datastore.bit(), 1) });
    }

    fn add_infrastructure(&mut self) {
        self.clusters.add(Cluster::new("default"));
        self.clusters.continue_at(FIRST);
        for (name, kind, driver) in
            [("system", "SYSTEM_DS", "-"), ("default", "IMAGE_DS", "fs"), ("files", "FILE_DS", "fs")]
        {
            let mut template = Template::default();
            template.set("TYPE", kind);
            template.set("DS_MAD", driver);
            template.set("TM_MAD", "local");
            self.datastores.add(Datastore::new(name.into(), template, 0));
        }
        self.datastores.continue_at(FIRST);
        let mut template = Template::default();
        for kind in ["OUTBOUND", "INBOUND"] {
            let rule = [("PROTOCOL", "ALL"), ("RULE_TYPE", kind)];
            let rule: Parts = rule.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            template.push_vector("RULE", rule);
        }
        template.set("DESCRIPTION", "Everything may come in and go out.");
        let ownership = Ownership::of_oneadmin("110100100");
        self.security_groups.add(SecurityGroup { ownership, name: "default".into(), template });
        self.security_groups.continue_at(FIRST);
    }

    /// Adds a host that is monitored already.
    pub(crate) fn add_host(&mut self, name: &str, cluster: i32) -> i32 {
        let mut host = Host::new(name, "kvm", "kvm", cluster);
        host.monitored();
        self.hosts.add(host)
    }
}

/// The time in the words of ctime(3), as it stands in error messages: `Sat Nov 21 02:47:17 2026`.
pub fn calendar() -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now = seconds();
    let (days, second) = (now.div_euclid(86_400), now.rem_euclid(86_400));
    // Days to a date, with years that begin in March (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let name = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|i| names.get(i).copied()).unwrap_or_default()
    };
    format!(
        "{} {} {day:>2} {:02}:{:02}:{:02} {year}",
        name(&DAYS, days.rem_euclid(7)),
        name(&MONTHS, month - 1),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
