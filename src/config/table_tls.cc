// SPDX-License-Identifier: Apache-2.0
// TLS of listeners and of clusters.
#include "config/table.h"

namespace tidegate::config {

namespace {

using namespace std::chrono_literals;

/// Means nothing without `client_ca`, so it is shown beside one only.
Kind<ListenerTls> client_verify_kind() {
  const Kind<ClientVerify> word = enumeration<ClientVerify>(
      {{"require", ClientVerify::Require}, {"optional", ClientVerify::Optional}});
  Kind<ListenerTls> kind{word.name, word.range, word.schema, {}, {}};
  kind.read = [word](Reader& reader, const Node& node, ListenerTls& to) {
    word.read(reader, node, to.client_verify);
  };
  kind.write = [word](const ListenerTls& tls) {
    return tls.client_ca.empty() ? Node() : word.write(tls.client_verify);
  };
  return kind;
}

}  // namespace

const Section& certificate_section() {
  static const Section kSection =
      SectionOf<Certificate>("listeners[].tls.certificates[]",
                             "A certificate and its private key, in PEM files.")
          .required("cert", &Certificate::cert, readable_file_kind("certificate"),
                    "The certificate, then those that lead to its root.")
          .required("key", &Certificate::key, readable_file_kind("private key"),
                    "Its private key, without passphrase.");
  return kSection;
}

const Section& listener_tls_section() {
  static const Section kSection =
      SectionOf<ListenerTls>("listeners[].tls",
                             "TLS with clients. The files are watched: a new version is in use at "
                             "once, a broken one is refused and the old stays.")
          .required("certificates", &ListenerTls::certificates,
                    list_of(nested<Certificate>(certificate_section())),
                    "Chosen by the name the client asks for, exact before wildcard; the first "
                    "where none matches.")
          .field("client_ca", &ListenerTls::client_ca, readable_file_kind("CA certificates"),
                 "Ask clients for a certificate that comes from one of these.")
          .field(
              "client_verify", client_verify_kind(),
              "With `client_ca`: `require`, as if not given, or `optional`, which serves a client "
              "without certificate too; a wrong one is refused in either case.")
          .field("min_version", &ListenerTls::min_version, choice({"1.2", "1.3"}),
                 "The oldest version of TLS that is accepted.")
          .field("handshake_timeout", &ListenerTls::handshake_timeout, duration(1ms, 1h),
                 "From the connection to the end of the handshake.");
  return kSection;
}

const Section& cluster_tls_section() {
  static const Section kSection =
      SectionOf<ClusterTls>("clusters.NAME.tls",
                            "TLS with `https://` endpoints. The files are watched, too.")
          .field("verify", &ClusterTls::verify, flag(),
                 "Check that the origin's certificate is valid and is for its name.")
          .field("ca", &ClusterTls::ca, readable_file_kind("CA certificates"),
                 "What that certificate must come from; by default what the system trusts.")
          .field("sni", &ClusterTls::sni, checked_text("host", parse_tls_name),
                 "The name to ask for and to check; by default the one in the URL.")
          .field("cert", &ClusterTls::cert, readable_file_kind("certificate"),
                 "A client certificate to show, with its chain.")
          .field("key", &ClusterTls::key, readable_file_kind("private key"),
                 "Its private key, without passphrase.");
  return kSection;
}

}  // namespace tidegate::config
