# SPDX-License-Identifier: Apache-2.0
"""Certificates made by the openssl program when a test session first asks for them: ECDSA P-256, so
that it takes moments."""
import ssl
import subprocess
import time
from pathlib import Path


def openssl(*arguments, cwd=None, stdin=None):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=cwd, input=stdin, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}:\n{done.stdout}"
    return done.stdout


class Pair:
    """A certificate and its key, as paths of PEM files."""

    def __init__(self, folder, name):
        self.cert = Path(folder) / f"{name}.pem"
        self.key = Path(folder) / f"{name}.key"

    @property
    def entry(self):
        """As in `certificates` of a listener."""
        return {"cert": str(self.cert), "key": str(self.key)}

    @property
    def serial(self):
        """As ssl.SSLSocket.getpeercert() has it."""
        return openssl("x509", "-in", self.cert, "-noout", "-serial").strip().partition("=")[2]

    def for_origin(self, client_ca=None):
        """The context of a server with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    @property
    def fingerprint(self):
        text = openssl("x509", "-in", self.cert, "-noout", "-fingerprint", "-sha256")
        return text.strip().partition("=")[2].replace(":", "").lower()


class Authority(Pair):
    """A CA of its own: `issue` makes certificates that come from it."""

    def __init__(self, folder, name="ca"):
        super().__init__(folder, name)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        openssl("req", "-x509", *_new_key(self.key), "-out", self.cert, "-days", "30",
                "-subj", f"/CN=Tidegate test {name}",
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def trust(self, client=None):
        """The context of a client that trusts this CA; `client`: the certificate it shows."""
        context = ssl.create_default_context(cafile=str(self.cert))
        if client:
            context.load_cert_chain(client.cert, client.key)
        return context

    def issue(self, name, *sans, subject=None, days=10, expired=False, seconds=None, rsa=False):
        """A certificate for these subject alternative names, "DNS:a.example" or "IP:127.0.0.1";
        `seconds`: it lives, from now on, instead of days; `rsa`: with such a key."""
        made = Pair(self.folder, name)
        request = self.folder / f"{name}.csr"
        extensions = self.folder / f"{name}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\n"
                              + (f"subjectAltName={','.join(sans)}\n" if sans else ""))
        openssl("req", *_new_key(made.key, rsa), "-out", request, "-subj", subject or f"/CN={name}")
        if seconds:
            self._sign_until(request, extensions, made, int(time.time()) + seconds)
            return made
        # openssl 3.0's x509 takes no dates, but a negative number of days.
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key,
                "-CAcreateserial", "-days", "-1" if expired else str(days),
                "-extfile", extensions, "-out", made.cert)
        return made

    def _sign_until(self, request, extensions, made, ends_at):
        made.ends_at = ends_at
        settings = self.folder / "ca.cnf"
        (self.folder / "index.txt").write_text("")
        settings.write_text("[ca]\ndefault_ca=own\n[own]\npolicy=any\ndefault_md=sha256\nrand_serial=yes\n"
                            f"database={self.folder}/index.txt\nnew_certs_dir={self.folder}\n"
                            "[any]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", settings, "-cert", self.cert, "-keyfile", self.key,
                "-in", request, "-extfile", extensions, "-out", made.cert,
                "-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(ends_at)))


def _new_key(path, rsa=False):
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    return ["-newkey", *kind, "-nodes", "-keyout", path]
