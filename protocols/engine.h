// How an inference is computed between two parties, behind one interface: what a session needs of it.
//
//   ServerSession, ClientSession: order of the rounds, checks of every message, what happens after a failure,
//   what is kept between rounds                          the same for all engines
//   ServerEngine, ClientEngine: a round's validated sections arrive → the sections of the answer
//
//   client session       client engine            server session        server engine
//   start()            ► message(0)  ───────────► handle()            ► take(0), answer(0)
//   handle()           ► take(0), message(1) ◄─── …
//
// A server's engine gets the ciphertexts of a message as members of Z*_{N²}, a client's engine gets them
// decrypted; both get the other section as the bytes that came, of the length that the schedule says.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/random.h"
#include "base/wide_vector.h"
#include "models/network/integer_network.h"
#include "paillier/evaluator.h"
#include "paillier/keys/key_owner.h"
#include "protocols/client_bundle.h"
#include "protocols/plan/inference_cost.h"
#include "protocols/plan/layer_check.h"
#include "protocols/plan/machine_speed.h"
#include "protocols/plan/phases.h"
#include "protocols/plan/schedule.h"
#include "protocols/session_options.h"
#include "protocols/wire/session_state.h"

namespace popcorn::protocols {

/// Gets the integers of a node as soon as they exist. For a process that holds both parties.
using Observer = std::function<void(std::size_t node, const WideVector& values)>;

/// The client's half of one inference. Not thread-safe.
class ClientEngine {
 public:
  virtual ~ClientEngine() = default;
  virtual const Schedule& schedule() const noexcept = 0;
  /// Appends the sections of the message of a round, in the order of the wire.
  virtual void message(std::uint64_t round, Bytes& out) = 0;
  /// Plaintexts of some ciphertexts of the answer to a round, all of the same width; thread-safe.
  /// @throws InputError "ciphertext.invalid"
  virtual WideVector decrypt(std::uint64_t round, ByteView ciphertexts) const = 0;
  /// Takes the answer to a round. @param plaintexts what decrypt() gave for all of its ciphertexts
  /// @throws InputError, and is then as it was; ot::FailedCheck, and is then of no use any more
  virtual void take(std::uint64_t round, WideVector plaintexts, ByteView section) = 0;
  /// The output tensor, after the last answer.
  virtual const WideVector& result() const = 0;
  /// For a half that was begun without an input: before the message of the first online round.
  /// @param input integers of bundle.encoding.shape
  virtual void provide(WideVector /*input*/) {
    throw Error("session.input", "this engine takes its input at the beginning");
  }
  /// To be kept with the key pair and the server's name; null before it exists, and where there is none.
  virtual std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const { return nullptr; }
  /// Whether another process can go on after the message of a round (1 or later) was made. Only once the
  /// set-up of an engine that uses transfers exists.
  virtual bool can_be_kept(std::uint64_t /*round*/) const { return false; }
  /// Appends all that is held while the answer to a round is awaited, but for the message and the set-up.
  virtual void save(std::uint64_t /*round*/, StateWriter& /*out*/) const {}
  /// Brings a new half (with the same set-up) to where save() was called. @throws InputError
  /// "session_state.*"
  virtual void restore(std::uint64_t /*round*/, StateReader& /*in*/) {
    StateReader::reject("its engine keeps none");
  }
};

/// The server's half of one inference. Not thread-safe.
class ServerEngine {
 public:
  virtual ~ServerEngine() = default;
  virtual const Schedule& schedule() const noexcept = 0;
  /// Takes what is no ciphertexts of a round's message.
  /// @throws InputError, and is then as it was; ot::FailedCheck, and is then of no use any more
  virtual void take(std::uint64_t round, ByteView section) = 0;
  /// Computes the rest of the round and appends the sections of its answer, in the order of the wire. What it
  /// throws is no fault of the message, but for ot::FailedCheck; the half is of no use any more then.
  virtual void answer(std::uint64_t round, paillier::CiphertextBatch ciphertexts, Bytes& out) = 0;
  /// But for the parsing of ciphertexts, which is the session's.
  virtual ServerPhases phases() const noexcept = 0;
  /// To be kept with the client's key; null before it is complete, and where there is none.
  virtual std::shared_ptr<const ot::KeptSetUp> transfer_set_up() const { return nullptr; }
  /// Bytes held at the moment.
  virtual std::size_t memory_bytes() const noexcept = 0;
  /// From now on the integers of every node go to `observer`. @param client the other half of this inference;
  /// the references must outlive the object
  virtual void observe(ClientEngine& client, Observer observer) = 0;
  /// Whether another process can answer the message of a round; where not, the session lives and ends in one.
  virtual bool can_be_kept(std::uint64_t /*round*/) const { return false; }
  /// Appends all that is held while the message of a round is awaited.
  virtual void save(std::uint64_t /*round*/, StateWriter& /*out*/) const {}
  /// Brings a new half (with the same set-up from an earlier session) to where save() was called.
  /// @throws InputError "session_state.*"
  virtual void restore(std::uint64_t /*round*/, StateReader& /*in*/) {
    StateReader::reject("its engine keeps none");
  }
};

/// What a server keeps ready to run one network. Immutable, shared by all sessions.
class PreparedNetwork {
 public:
  virtual ~PreparedNetwork() = default;
};

/// How a model is to be served.
struct PublishOptions {
  std::uint64_t chunk = kDefaultChunk;  ///< most comparisons of one step
  std::vector<std::string> sign_tests;  ///< that clients may choose, preferred first; empty = all
};

/// What a server's session gives its engine. Network, evaluator and generator outlive the engine, the rest is
/// read at once.
struct ServerParts {
  const PreparedNetwork& network;
  const ClientBundle& bundle;
  std::shared_ptr<const paillier::PublicContext> key;
  const paillier::Evaluator& evaluator;  ///< under that key; what it counts is the session's work
  const SessionOptions& options;
  Rng& rng;
};

/// What a client's session gives its engine. The bundle and the options are read at once; the generator
/// outlives the engine.
struct ClientParts {
  const ClientBundle& bundle;
  std::shared_ptr<const paillier::KeyOwner> owner;
  const SessionOptions& options;
  /// Whether options.transfer_set_up is from an earlier session. False with a set-up when the engine will be
  /// restored, of which the set-up was a part.
  bool resumes_set_up = false;
  Rng& rng;
};

/// One way to compute an inference. Immutable, thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view name() const noexcept = 0;

  /// Adds to a bundle what clients have to know. @throws InputError "model.*" for a network that the engine
  /// cannot run, RefusedError for options that it does not know
  virtual void publish(const models::IntegerNetwork& network, const PublishOptions& options,
                       ClientBundle& bundle) const = 0;
  /// Seconds for a large network. @param network outlives the result
  virtual std::unique_ptr<const PreparedNetwork> prepare(const models::IntegerNetwork& network,
                                                         const PublishOptions& options) const = 0;
  /// Whether sessions rest on a set-up of transfers that may be kept for later ones.
  /// @throws RefusedError for options that the model does not offer
  virtual bool uses_transfers(const ClientBundle& bundle, const SessionOptions& options) const = 0;

  /// @throws RefusedError as uses_transfers(), InputError "model.too_wide"
  virtual std::unique_ptr<ServerEngine> server(const ServerParts& parts) const = 0;
  /// @param input integers of bundle.encoding.shape; empty when the engine will be restored, or when
  /// ClientEngine::provide() gives it after a preparation
  /// @throws RefusedError as uses_transfers(), InputError "model.too_wide"
  virtual std::unique_ptr<ClientEngine> client(const ClientParts& parts, WideVector input) const = 0;

  /// One layer for each node. @param resumes whether both parties resume a kept set-up
  /// @throws as server()
  virtual InferenceCost cost(const PreparedNetwork& network, const ClientBundle& bundle, unsigned key_bits,
                             const SessionOptions& options, bool resumes) const = 0;
  /// What a client can know: of the server's work only the steps. One layer for the input, each step, the
  /// output.
  virtual InferenceCost client_cost(const ClientBundle& bundle, unsigned key_bits,
                                    const SessionOptions& options, bool resumes) const = 0;
  /// Measures what cost() counts; about a second at 2048 bits.
  virtual MachineSpeed measure_speed(const std::shared_ptr<const paillier::KeyOwner>& owner,
                                     const std::shared_ptr<const paillier::PublicContext>& context,
                                     const SessionOptions& options, Rng& rng) const = 0;
  /// Some values of every layer, without an inference; null when the engine has no such check.
  /// @param network outlives the result. @throws InputError "model.too_wide"
  virtual std::unique_ptr<LayerCheck> layer_check(const models::IntegerNetwork& network,
                                                  std::shared_ptr<const paillier::KeyOwner> owner,
                                                  std::shared_ptr<const paillier::PublicContext> context,
                                                  const SessionOptions& options, Rng& rng) const = 0;
};

}  // namespace popcorn::protocols
