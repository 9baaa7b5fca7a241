//! The simulator as a program: `opennebula-simulator [--listen ADDRESS] [--control ADDRESS] [--password PASSWORD]
//! [--directory DIRECTORY] [--hosts COUNT]`. Orders come as lines on the control port.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use opennebula_simulator::{DriverAction, Settings, Simulator};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Arguments {
    listen: String,
    control: Option<String>,
    password: Option<String>,
    directory: PathBuf,
    hosts: u32,
}

const USAGE: &str = "usage: opennebula-simulator [--listen ADDRESS] [--control ADDRESS] [--password PASSWORD] \
                     [--directory DIRECTORY] [--hosts COUNT]";

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        listen: "127.0.0.1:2633".into(),
        control: None,
        password: None,
        directory: std::env::temp_dir().join("opennebula-simulator"),
        hosts: 2,
    };
    let mut words = std::env::args().skip(1);
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| format!("{option} needs a value\n{USAGE}"))?;
        match option.as_str() {
            "--listen" => found.listen = value,
            "--control" => found.control = Some(value),
            "--password" => found.password = Some(value),
            "--directory" => found.directory = value.into(),
            "--hosts" => found.hosts = value.parse().map_err(|_| format!("--hosts needs a number, not '{value}'"))?,
            _ => return Err(format!("there is no option {option}\n{USAGE}")),
        }
    }
    Ok(found)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("opennebula-simulator: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let arguments = arguments()?;
    let mut settings = Settings::default();
    if let Some(password) = arguments.password {
        settings.password = password;
    }
    let failed = |what: &str, e: std::io::Error| format!("cannot listen on {what}: {e}");
    let simulator = Simulator::start_at(&arguments.listen, settings, &arguments.directory)
        .await
        .map_err(|e| failed(&arguments.listen, e))?;
    for number in 1..=arguments.hosts {
        simulator.add_host(&format!("kvm-{number}"));
    }
    let simulator = Arc::new(simulator);
    println!("simulator of OpenNebula at {}", simulator.url());
    if let Some(address) = arguments.control {
        let listener = TcpListener::bind(&address).await.map_err(|e| failed(&address, e))?;
        let bound: SocketAddr = listener.local_addr().map_err(|e| failed(&address, e))?;
        println!("control port at {bound}");
        tokio::spawn(control(listener, simulator));
    }
    tokio::signal::ctrl_c().await.map_err(|e| format!("cannot wait for a signal: {e}"))
}

async fn control(listener: TcpListener, simulator: Arc<Simulator>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let simulator = Arc::clone(&simulator);
            tokio::spawn(async move {
                // Whoever gives orders and goes away wants no answer.
                let _ = converse(stream, &simulator).await;
            });
        }
    }
}

async fn converse(stream: TcpStream, simulator: &Simulator) -> std::io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut lines = BufReader::new(reading.take(1 << 20)).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match obey(&line, simulator) {
            Ok(answer) => format!("ok {answer}\n"),
            Err(text) => format!("error {text}\n"),
        };
        writing.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

fn obey(line: &str, simulator: &Simulator) -> Result<String, String> {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    match word {
        "fault" => simulator.order(rest.parse()?),
        "clear" => simulator.clear_faults(),
        "settle" => simulator.settle(),
        "fail" => simulator.fail_driver(match rest {
            "deploy" => DriverAction::Deploy,
            "shutdown" => DriverAction::Shutdown,
            "attach-disk" => DriverAction::AttachDisk,
            other => return Err(format!("there is no driver action '{other}'")),
        }),
        "machines" => {
            let count = rest.parse().map_err(|_| format!("'{rest}' is no count"))?;
            let (first, last) = simulator.add_machines(count, "machine", &[]);
            return Ok(format!("{first} {last}"));
        }
        "calls" => return Ok(simulator.call_count().to_string()),
        _ => return Err("orders are: fault, clear, settle, fail, machines, calls".into()),
    }
    Ok(String::new())
}
