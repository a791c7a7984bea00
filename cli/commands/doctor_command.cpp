// popcorn doctor: whether this machine, a server and a store are fit for what one wants to do.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands/commands.h"
#include "cli/doctor/connection_findings.h"
#include "cli/doctor/machine_findings.h"
#include "cli/doctor/speed_finding.h"
#include "cli/options/connection_options.h"
#include "cli/terminal/colour.h"
#include "cli/terminal/output.h"

namespace popcorn::cli {

namespace {

struct DoctorOptions {
  ConnectionOptions connection;
  std::string store;
  std::string store_password_file;
  std::string data;
  std::uint16_t port = 8080;
  bool no_speed = false;
  bool json = false;
};

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::good:
      return "ok";
    case Verdict::advice:
      return "advice";
    default:
      return "PROBLEM";
  }
}

std::string shown(Verdict verdict) {
  const Colour colour = verdict == Verdict::good     ? Colour::green
                        : verdict == Verdict::advice ? Colour::yellow
                                                     : Colour::red;
  return coloured(name_of(verdict), colour, STDOUT_FILENO);
}

void append(Findings& all, Findings more) {
  std::ranges::move(more, std::back_inserter(all));
}

Findings look(const DoctorOptions& options) {
  Findings findings = machine_findings(options.data);
  append(findings, port_finding(options.port));
  append(findings, server_findings(options.connection));
  append(findings, redis_findings(options.store, options.store_password_file));
  if (!options.no_speed) append(findings, speed_findings());
  return findings;
}

void print(const Findings& findings) {
  using Align = Table::Align;
  Table table({{"looked at", Align::left}, {"verdict", Align::left}, {"found", Align::left}});
  for (const Finding& finding : findings)
    table.add_row({finding.subject, shown(finding.verdict), finding.sentence});
  table.print(std::cout);
}

int doctor(const DoctorOptions& options) {
  const Findings findings = look(options);
  const auto problems = std::ranges::count(findings, Verdict::problem, &Finding::verdict);
  if (options.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Finding& finding : findings) {
      list.push_back(
          {{"subject", finding.subject}, {"verdict", name_of(finding.verdict)}, {"found", finding.sentence}});
    }
    print_json(std::cout, {{"findings", std::move(list)}, {"problems", problems}});
  } else {
    print(findings);
    std::cout << (problems == 0 ? "no problem was found" : counted(problems, "problem")) << '\n';
  }
  constexpr int kCheckFailed = 8;
  return problems == 0 ? 0 : kCheckFailed;
}

}  // namespace

void add_doctor_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* command =
      app.add_subcommand("doctor", "Look whether this machine, a server and a store are fit, with advice");
  add_connection_options(*command, options->connection);
  command->get_option("--server")->required(false);
  command->add_option("--store", options->store, "Ask this Redis too: redis://HOST:PORT/DATABASE")
      ->type_name("URL");
  command->add_option("--store-password-file", options->store_password_file, "The password of Redis")
      ->type_name("FILE");
  command->add_option("--port", options->port, "Whether a server could listen on this port; 0 does not ask")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--data", options->data, "Folder of the data sets")
      ->type_name("DIR")
      ->envname("POPCORN_DATA");
  command->add_flag("--no-speed", options->no_speed, "Leave out the measurements, which take some seconds");
  command->add_flag("--json", options->json, "Report as JSON");
  command->footer(
      "Exit code 8 when there is a problem.\n\nExamples:\n  popcorn doctor\n  popcorn doctor --server "
      "https://host:8443 --ca ca.pem --token-file token\n");
  command->callback([options, &chosen] { chosen = [options] { return doctor(*options); }; });
}

}  // namespace popcorn::cli
