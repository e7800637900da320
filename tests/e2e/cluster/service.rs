//! The services of the manuals, each with the resource that Pacemaker has for it and the rules that operators copy.

use std::{env, fs};

/// What is kept.
pub(super) struct Service {
    /// Its resource agent, of the provider `heartbeat`.
    pub(super) agent: &'static str,
    /// The parameters of that.
    pub(super) parameters: &'static [(&'static str, &'static str)],
    /// How the command lines of its processes begin.
    pub(super) program: &'static str,
    /// Its entry in the pfile, without the script and what comes after it.
    options: &'static str,
    /// Its restart script, and what is to be changed in it for this place.
    script: (&'static str, &'static [(&'static str, &'static str)]),
    /// Files of its configuration, below `/run/site`.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// What else it takes.
    pub(super) installs: &'static str,
}

impl Service {
    pub(super) fn pfile(&self) -> String {
        let Self { program, options, .. } = self;
        format!(
            "IPCKEY 0x1f000101\nMSG_CHECK_INTERVAL 1\nMONITOR_INTERVAL 1\n\
             {program}:/run/site/restart.sh:86400:3:exit{options}\n"
        )
    }

    pub(super) fn restart_script(&self) -> String {
        let (rule, changes) = self.script;
        let file = format!("{}/../rules/{rule}", env!("CARGO_MANIFEST_DIR"));
        let mut text = fs::read_to_string(file).unwrap();
        // The host of the test may run systemd, but not these services as its units.
        for (from, to) in changes.iter().chain(&[("[ -d /run/systemd/system ]", "false")]) {
            assert_eq!(text.matches(from).count(), 1, "{from} in {rule}");
            text = text.replace(from, to);
        }
        text
    }
}

pub(super) const HTTPD: Service = Service {
    agent: "apache",
    parameters: &[
        ("configfile", "/run/site/httpd.conf"),
        ("httpd", "/run/site/httpd"),
        ("statusurl", "http://127.0.0.1/"),
        ("testregex", "node"),
    ],
    program: "/run/site/httpd",
    options: "",
    script: (
        "httpd/httpd_restart.sh",
        &[
            ("program=/usr/sbin/httpd", "program=/run/site/httpd"),
            (r#"exec "$program" -k start"#, r#"exec "$program" -f /run/site/httpd.conf -k start"#),
        ],
    ),
    files: &[(
        "httpd.conf",
        "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
ServerRoot /run/site
DefaultRuntimeDir /run/site
ServerName localhost
PidFile /run/site/httpd.pid
ErrorLog /run/site/error.log
Mutex file:/run/site
User www-data
Group www-data
Listen 80
DocumentRoot /run/site/www
DirectoryIndex index.html
StartServers 2
",
    )],
    installs: "ln -s /usr/sbin/apache2 /run/site/httpd",
};

pub(super) const TOMCAT: Service = Service {
    agent: "tomcat",
    parameters: &[
        ("java_home", "/run/site/jre"),
        ("catalina_home", "/run/site/home"),
        ("catalina_base", "/run/site/base"),
        ("catalina_pid", "/run/site/tomcat.pid"),
        ("catalina_opts", "-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"),
        ("script_log", "/run/site/tomcat.log"),
        ("statusurl", "http://127.0.0.1:80/"),
    ],
    program: "/run/site/jre/bin/java",
    options: ":include_strings=apache&tomcat",
    script: (
        "tomcat/tomcat_restart.sh",
        &[
            (
                "CATALINA_HOME=/usr/local/tomcat",
                "CATALINA_HOME=/run/site/home
export JRE_HOME=/run/site/jre CATALINA_BASE=/run/site/base
export CATALINA_OPTS='-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1'",
            ),
            ("CATALINA_PID=/run/tomcat.pid", "CATALINA_PID=/run/site/tomcat.pid"),
        ],
    ),
    files: &[
        (
            "base/conf/server.xml",
            r#"<Server port="-1"><Service name="Catalina">
<Connector port="80" protocol="HTTP/1.1"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
</Service></Server>
"#,
        ),
        (
            "base/conf/web.xml",
            "<web-app><servlet><servlet-name>default</servlet-name>
<servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
<servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
<welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list></web-app>
",
        ),
    ],
    installs: "ln -s /usr/share/tomcat10 /run/site/home
ln -s \"$(dirname \"$(dirname \"$(command -v java)\")\")\" /run/site/jre
mkdir -p /run/site/base/logs /run/site/base/temp /run/site/base/webapps/ROOT
rmdir /run/site/www
ln -s base/webapps/ROOT /run/site/www",
};
