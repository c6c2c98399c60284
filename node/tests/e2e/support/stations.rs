//! Hosts that stop at one moment of a delivery attempt until they are let go, and a name server that does; each counts what
//! it took.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::cluster::free_ports;

/// Where a host stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before its greeting.
    Connect,
    /// Before it answers EHLO.
    Ehlo,
    /// Before it answers STARTTLS, which it alone offers and cannot do.
    StartTls,
    /// Before it answers MAIL.
    Mail,
    /// Before it answers RCPT.
    Rcpt,
    /// Before it asks for the message.
    Data,
    /// In the middle of the message.
    Body,
    /// When it has the whole message, before it says so.
    Dot,
    /// The same; what it says then is to cross the sender's death.
    Reply,
    /// Before it refuses the recipient for good, which it always does; that is to cross the sender's death.
    Refuse,
    /// Not at all: it refuses the recipient for now until it is let go.
    Defer,
}

struct Shared {
    stop: Stop,
    /// It stops those who come.
    closed: Mutex<bool>,
    opened: Condvar,
    stopped: AtomicUsize,
    /// What it said after it was let go is on its way.
    said: AtomicBool,
    taken: Mutex<Vec<String>>,
}

/// A host.
pub struct Station {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Station {
    pub fn start(stop: Stop, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let shared = Arc::new(Shared {
            stop,
            closed: Mutex::new(true),
            opened: Condvar::new(),
            stopped: AtomicUsize::new(0),
            said: AtomicBool::new(false),
            taken: Mutex::default(),
        });
        let of = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let of = of.clone();
                std::thread::spawn(move || {
                    let _ = of.serve(stream);
                });
            }
        });
        Self { port, shared }
    }

    pub fn stop(&self) -> Stop {
        self.shared.stop
    }

    /// Whether somebody has come to where it stops, or has been told to come again.
    pub fn has_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst) > 0
    }

    /// From now on nobody is stopped.
    pub fn open(&self) {
        *self.shared.closed.lock().unwrap() = false;
        self.shared.opened.notify_all();
    }

    /// Whether the words that were to cross have been said.
    pub fn has_said(&self) -> bool {
        self.shared.said.load(Ordering::SeqCst)
    }

    /// Stops the next one again.
    pub fn close(&self) {
        *self.shared.closed.lock().unwrap() = true;
        self.shared.stopped.store(0, Ordering::SeqCst);
        self.shared.said.store(false, Ordering::SeqCst);
    }

    /// How many copies of this message it has.
    pub fn copies(&self, id: &str) -> usize {
        self.shared.taken.lock().unwrap().iter().filter(|message| message.contains(id)).count()
    }
}

impl Shared {
    /// Waits here if this is the place.
    fn pass(&self, place: Stop) {
        if self.stop != place {
            return;
        }
        let mut closed = self.closed.lock().unwrap();
        if *closed {
            self.stopped.fetch_add(1, Ordering::SeqCst);
        }
        while *closed {
            closed = self.opened.wait(closed).unwrap();
        }
    }

    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut lines = BufReader::new(stream);
        let mut say = |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
        self.pass(Stop::Connect);
        say("220 station.test ESMTP")?;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
                "EHLO" => {
                    self.pass(Stop::Ehlo);
                    let tls = if self.stop == Stop::StartTls { "250-STARTTLS\r\n" } else { "" };
                    say(&format!("250-station.test\r\n{tls}250 8BITMIME"))?;
                }
                "STAR" => {
                    self.pass(Stop::StartTls);
                    say("454 4.7.0 no TLS today")?;
                }
                "MAIL" => {
                    self.pass(Stop::Mail);
                    say("250 ok")?;
                }
                "RCPT" => {
                    self.pass(Stop::Rcpt);
                    self.pass(Stop::Refuse);
                    let closed = *self.closed.lock().unwrap();
                    match self.stop {
                        Stop::Refuse => {
                            say("550 5.1.1 nobody of that name")?;
                            self.said.store(true, Ordering::SeqCst);
                        }
                        Stop::Defer if closed => {
                            self.stopped.fetch_add(1, Ordering::SeqCst);
                            say("451 4.3.0 not now")?;
                        }
                        _ => say("250 ok")?,
                    }
                }
                "DATA" => {
                    self.pass(Stop::Data);
                    say("354 go on")?;
                    let Some(message) = self.message(&mut lines)? else { return Ok(()) };
                    self.taken.lock().unwrap().push(message);
                    self.pass(Stop::Dot);
                    self.pass(Stop::Reply);
                    say("250 taken")?;
                    self.said.store(true, Ordering::SeqCst);
                }
                "QUIT" => return say("221 bye"),
                _ => say("250 ok")?,
            }
        }
    }

    /// All of a message; none when its sender went away.
    fn message(&self, lines: &mut impl BufRead) -> std::io::Result<Option<String>> {
        let mut message = String::new();
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            if line == b".\r\n" {
                return Ok(Some(message));
            }
            if message.is_empty() {
                self.pass(Stop::Body);
            }
            message.push_str(&String::from_utf8_lossy(&line));
        }
    }
}

/// A name server before another one, that keeps silent about a name until it is let go.
pub struct Silence {
    pub port: u16,
    closed: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Silence {
    /// `label`: of names that are not answered; `server`: the port of the one who knows.
    pub fn start(label: &'static str, server: u16) -> Self {
        let this = Self { port: free_ports(), closed: Arc::new(AtomicBool::new(true)), asked: Arc::default() };
        let socket = UdpSocket::bind(("127.0.0.1", this.port)).unwrap();
        let (closed, asked) = (this.closed.clone(), this.asked.clone());
        std::thread::spawn(move || {
            let behind = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            behind.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            let (mut query, mut answer) = ([0; 4_096], [0; 4_096]);
            while let Ok((len, from)) = socket.recv_from(&mut query) {
                if query[..len].windows(label.len()).any(|part| part == label.as_bytes())
                    && closed.load(Ordering::SeqCst)
                {
                    asked.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let _ = behind.send_to(&query[..len], ("127.0.0.1", server));
                if let Ok((len, _)) = behind.recv_from(&mut answer) {
                    let _ = socket.send_to(&answer[..len], from);
                }
            }
        });
        this
    }

    pub fn was_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst) > 0
    }

    pub fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    pub fn close(&self) {
        self.asked.store(0, Ordering::SeqCst);
        self.closed.store(true, Ordering::SeqCst);
    }
}
