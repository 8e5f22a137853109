use expect_test::{Expect, expect};

use super::read::{Flags, InForce};
use super::*;

fn read(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<InForce, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("amends.toml");
    std::fs::write(&path, file).unwrap();
    let flags = Flags {
        file: Some(path.clone()),
        values: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
    };
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let directory = format!("{}/", directory.path().display());
    InForce::read(&flags, environment).map_err(|failure| failure.message.replace(&directory, ""))
}

fn wrong(file: &str, environment: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&read(file, environment, &[]).unwrap_err());
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_what_is_usual() {
    let file = "host = \"::1\"\nport = 1\ndata = \"a\"\n";
    let in_force = read(file, &[("AMENDS_PORT", "2"), ("AMENDS_DATA", "b")], &[("data", "c")]).unwrap();
    let config = in_force.config;
    assert_eq!((config.host.to_string().as_str(), config.port, config.data), ("::1", 2, PathBuf::from("c")));
    assert_eq!(config.live_max, LIVE_MAX);
}

#[test]
fn every_key_can_be_a_variable_and_what_is_shown_is_a_file_that_says_the_same() {
    let environment = [
        ("AMENDS_TOKEN", "hush"),
        ("AMENDS_ALLOWED_HOSTS", "10.0.0.0/8, *.internal"),
        ("AMENDS_LIMITS_PAYLOAD_BYTES_MAX", "2MiB"),
        ("AMENDS_RETENTION", "30d"),
        ("AMENDS_PARTICIPANTS_PAYMENTS_URL", "https://pay.example"),
        ("AMENDS_PARTICIPANTS_STOCK_ROOM_RATE", "500/s"),
        ("AMENDS_NOTIFY_0_URL", "https://hook.example"),
        ("AMENDS_SECRET_PAYMENTS", "unseen"),
        ("AMENDS_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("AMENDS_DEFINITIONS", ""),
    ];
    let file = "port = 9_090\n[participants.Stock-Room]\nsecret = [\"AMENDS_SECRET_A\", \"AMENDS_SECRET_B\"]\n\
                [[notify]]\non = [\"parked\", \"compensated\"]\n[limits]\nlive_max = 10\n";
    let in_force = read(file, &environment, &[("public_url", "https://amends.example")]).unwrap();
    let shown = in_force.shown();
    let shown: Vec<String> = shown
        .lines()
        .map(|line| match line.split_once("# /tmp") {
            Some((start, end)) => format!("{start}# …{}", end.rsplit_once('/').unwrap().1),
            None => line.to_owned(),
        })
        .collect();
    expect![[r#"
        host = "127.0.0.1"                               # default
        port = 9090                                      # …amends.toml:1
        data = "./amends-data"                           # default
        # definitions =                                  # not set
        token = "(not shown)"                            # AMENDS_TOKEN
        # tls_cert =                                     # not set
        # tls_key =                                      # not set
        insecure = false                                 # default
        public_url = "https://amends.example"            # --public-url
        allowed_hosts = ["10.0.0.0/8", "*.internal"]     # AMENDS_ALLOWED_HOSTS
        secrets = []                                     # default
        retention = "30d"                                # AMENDS_RETENTION
        grace = "10s"                                    # default
        log = "info"                                     # default
        log_format = "text"                              # default
        # otlp_endpoint =                                # not set

        [limits]
        payload_bytes_max = "2MiB"                       # AMENDS_LIMITS_PAYLOAD_BYTES_MAX
        saga_bytes_max = "64MiB"                         # default
        live_max = 10                                    # …amends.toml:7

        [participants.Stock-Room]
        # url =                                          # not set
        secret = ["AMENDS_SECRET_A", "AMENDS_SECRET_B"]  # …amends.toml:3
        # bearer =                                       # not set
        # concurrency =                                  # not set
        rate = "500/s"                                   # AMENDS_PARTICIPANTS_STOCK_ROOM_RATE

        [participants.payments]
        url = "https://pay.example"                      # AMENDS_PARTICIPANTS_PAYMENTS_URL
        # secret =                                       # not set
        # bearer =                                       # not set
        # concurrency =                                  # not set
        # rate =                                         # not set

        [[notify]]
        url = "https://hook.example"                     # AMENDS_NOTIFY_0_URL
        # secret =                                       # not set
        on = ["parked", "compensated"]                   # …amends.toml:5
    "#]]
    .assert_eq(&(shown.join("\n") + "\n"));
    let again = read(&in_force.shown().replace("(not shown)", "hush"), &[], &[]).unwrap();
    assert_eq!(again.config, in_force.config);
}

#[test]
fn everything_that_is_wrong_is_said_together_with_place_and_nearest_key() {
    let file = "prot = 1\nport = \"x\"\ntoken = 7\nretention = 30\nlimits = 3\nsecrets = [1]\n[participants.a]\nsecrets = \"X\"\n\
                secret = [\"MINE\"]\n[[notify]]\non = [\"parkt\"]\n[nothing_like_it]\n";
    wrong(
        file,
        &[("AMENDS_LIMIT_LIVE_MAX", "1"), ("AMENDS_INSECURE", "yes"), ("AMENDS_ZZZ", "1")],
        expect![[r#"
            the configuration cannot be used:
              amends.toml:5: limits is a table: [limits]
              amends.toml:12: there is no key "nothing_like_it"
              amends.toml:11: notify.0.on is ["parkt"], and must be a list of parked, completed, compensated and abandoned
              amends.toml:8: there is no key of a participant "secrets"; did you mean secret?
              amends.toml:2: port is "x", and must be a number from 0 to 65535
              amends.toml:1: there is no key "prot"; did you mean port?
              amends.toml:4: retention is 30, and must be a duration: a number and a unit (ms, s, m, h, d), such as 30d
              amends.toml:6: secrets is an array, and must be a list of texts; in an environment variable with commas between them
              amends.toml:3: token is something else, and must be a text of visible ASCII characters
              AMENDS_INSECURE: insecure is "yes", and must be true or false
              there is no environment variable AMENDS_LIMIT_LIVE_MAX; did you mean AMENDS_LIMITS_LIVE_MAX?
              there is no environment variable AMENDS_ZZZ"#]],
    );
    wrong(
        "port = 1\nport = 2\n",
        &[],
        expect![[r#"
        the configuration cannot be used:
          amends.toml:2: this is not TOML: duplicate key"#]],
    );
    wrong(
        "port 1\n",
        &[],
        expect![[r#"
        the configuration cannot be used:
          amends.toml:1: this is not TOML: key with no value, expected `=`"#]],
    );
}

#[test]
fn an_address_that_others_can_reach_needs_token_and_tls_or_somebody_who_says_so() {
    let tls = "tls_cert = \"c\"\ntls_key = \"k\"\n";
    for (file, environment, expected) in [
        ("", vec![], Err("a token (AMENDS_TOKEN) and TLS (tls_cert and tls_key)")),
        ("", vec![("AMENDS_TOKEN", "t")], Err("TLS (tls_cert and tls_key)")),
        (tls, vec![], Err("a token (AMENDS_TOKEN)")),
        (tls, vec![("AMENDS_TOKEN", "t")], Ok(())),
        ("insecure = true\n", vec![], Ok(())),
    ] {
        let found = read(file, &environment, &[("host", "0.0.0.0")]).map(drop);
        match (found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(lacking)) => assert!(
                found.contains(&format!("others can reach 0.0.0.0: that needs {lacking}; --insecure")),
                "{found}"
            ),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn values_that_make_no_sense_together_are_refused() {
    let file = "tls_cert = \"c\"\npublic_url = \"a\"\n[limits]\nsaga_bytes_max = \"1KiB\"\nlive_max = 0\n\
                [participants.a]\nbearer = [\"PATH\"]\nurl = \"a\"\nconcurrency = 0\n[[notify]]\nsecret = \"X\"\non = []\n";
    wrong(
        file,
        &[],
        expect![[r#"
        the configuration cannot be used:
          amends.toml:1: tls_cert needs tls_key
          amends.toml:2: public_url is "a", and must begin with http:// or https://
          amends.toml:5: limits.live_max is 0: then nothing could be started
          default: limits.payload_bytes_max is more than limits.saga_bytes_max: a saga holds its payloads
          amends.toml:7: "PATH" must be the name of an environment variable that begins with AMENDS_SECRET_, or be listed in secrets
          amends.toml:8: the url of a is "a", and must begin with http:// or https://
          amends.toml:9: the concurrency of a is 0: then it would never be called
          notify 0 has no url
          amends.toml:11: "X" must be the name of an environment variable that begins with AMENDS_SECRET_, or be listed in secrets
          notify 0: on names nothing; leave it out for parked"#]],
    );
    assert!(read("secrets = [\"PATH\"]\n[participants.a]\nbearer = [\"PATH\"]\n", &[], &[]).is_ok());
}

#[test]
fn no_secret_is_in_a_complaint_or_in_what_is_shown() {
    let complaint = read("token = \"a b-hush\"\n", &[], &[]).unwrap_err();
    assert!(!complaint.contains("hush"), "{complaint}");
    let in_force = read("token = \"hush\"\n", &[], &[]).unwrap();
    assert!(!in_force.shown().contains("hush") && !format!("{in_force:?}").contains("hush"));
    assert_eq!(in_force.config.token.unwrap().expose(), "hush");
}
