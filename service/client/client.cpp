#include "service/client/client.h"

#include "models/evaluation/prediction.h"
#include "models/input/input_encoding.h"
#include "paillier/keys/key_owner.h"
#include "service/client/rest_client.h"
#include "service/client/stock_refill.h"

namespace popcorn::client {

struct Key::Parts {
  std::shared_ptr<const paillier::KeyOwner> owner;
};

struct Model::Parts {
  protocols::ClientBundle bundle;
};

struct StockKeeper::State {
  service::StockKeeper keeper;
};

namespace {

Key make_key(paillier::PrivateKey key) {
  return Key(std::make_shared<const Key::Parts>(
      Key::Parts{std::make_shared<const paillier::KeyOwner>(std::move(key))}));
}

service::ClientOptions service_options(Options options) {
  service::ClientOptions made;
  made.token = std::move(options.token);
  made.ca_file = std::move(options.ca_file);
  made.client_certificate_file = std::move(options.client_certificate_file);
  made.client_key_file = std::move(options.client_key_file);
  made.connect_timeout_seconds = options.connect_timeout_seconds;
  made.round_timeout_seconds = options.round_timeout_seconds;
  made.sign_test = std::move(options.sign_test);
  made.engine = std::move(options.engine);
  made.cancel = options.cancel;
  return made;
}

Answer answer_of(const protocols::ClientBundle& bundle, const service::InferenceResult& result) {
  const bool with_logits = bundle.answer == models::Answer::logits;
  models::Prediction prediction =
      with_logits ? models::predict(result.logits, bundle.output_scale, bundle.softmax, bundle.labels)
                  : models::predict_label(result.logits, bundle.labels);
  Answer answer;
  answer.index = prediction.index;
  answer.label = std::move(prediction.label);
  answer.probability = prediction.probability;
  for (std::size_t i = 0; with_logits && i < result.logits.size(); ++i)
    answer.logits.push_back(result.logits.to_decimal(i));
  answer.seconds = result.seconds;
  answer.bytes_up = result.bytes_up;
  answer.bytes_down = result.bytes_down;
  answer.rounds = result.rounds;
  answer.from_stock = result.from_stock;
  return answer;
}

}  // namespace

struct Client::State {
  State(const std::string& url, Options options)
      : folder(options.stock_folder),
        connection(service_options(std::move(options))),
        client(url, connection) {}

  /// The client that takes from the key's stock, where there is a folder.
  service::Client& of(const Key& key) {
    if (folder.empty()) return client;
    const std::string fingerprint = key.fingerprint();
    if (!with_stock || fingerprint != stock_key) {
      service::ClientOptions options = connection;
      options.stock = std::make_shared<const service::Stock>(folder, *key.parts().owner);
      with_stock = std::make_unique<service::Client>(client.url(), std::move(options));
      stock_key = fingerprint;
    }
    return *with_stock;
  }

  const std::string folder;
  const service::ClientOptions connection;
  service::Client client;
  std::unique_ptr<service::Client> with_stock;
  std::string stock_key;
};

Key Key::generate(unsigned bits) {
  if (bits != 2048 && bits != 3072 && bits != 4096)
    throw UsageError("key.bits", "a key has 2048, 3072 or 4096 bits, not " + std::to_string(bits));
  return make_key(paillier::PrivateKey::generate(bits));
}

Key Key::read(const std::string& file) {
  return make_key(paillier::read_private_key(file));
}

void Key::write(const std::string& file) const {
  paillier::write_private_key(file, parts_->owner->private_key());
}

Key Key::from_json(const std::string& json) {
  return make_key(paillier::PrivateKey::from_json(json));
}

std::string Key::to_json() const {
  return parts_->owner->private_key().to_json();
}

unsigned Key::bits() const noexcept {
  return parts_->owner->public_key().bits();
}

std::string Key::fingerprint() const {
  return to_hex(parts_->owner->public_key().fingerprint());
}

const std::string& Model::name() const noexcept {
  return parts_->bundle.model;
}

const std::vector<std::string>& Model::labels() const noexcept {
  return parts_->bundle.labels;
}

std::int64_t Model::channels() const noexcept {
  return parts_->bundle.encoding.shape.channels;
}

std::int64_t Model::height() const noexcept {
  return parts_->bundle.encoding.shape.height;
}

std::int64_t Model::width() const noexcept {
  return parts_->bundle.encoding.shape.width;
}

Client::Client(const std::string& url, Options options)
    : state_(std::make_unique<State>(url, std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

std::vector<std::string> Client::models() {
  return state_->client.models();
}

Model Client::model(const std::string& name) {
  return Model(std::make_shared<const Model::Parts>(Model::Parts{state_->client.bundle(name)}));
}

Answer Client::classify(const Model& model, const Key& key, const Picture& picture,
                        const Progress& progress) {
  const protocols::ClientBundle& bundle = model.parts().bundle;
  const models::Image image{picture.width, picture.height, picture.channels, picture.samples};
  return answer_of(bundle, state_->of(key).infer(bundle, key.parts().owner,
                                                 models::encode_image(bundle.encoding, image), progress));
}

Answer Client::classify(const Model& model, const Key& key, const std::vector<std::int64_t>& input,
                        const Progress& progress) {
  const protocols::ClientBundle& bundle = model.parts().bundle;
  return answer_of(bundle,
                   state_->of(key).infer(bundle, key.parts().owner, WideVector::from_int64(input), progress));
}

StockKeeper::StockKeeper(const std::string& url, const std::string& model, const Key& key, std::size_t count,
                         Options options) {
  if (options.stock_folder.empty() || options.engine.empty())
    throw UsageError("client.stock", "a stock of preparations needs a folder and an engine that prepares");
  service::StockKeeper::Options wanted;
  wanted.url = url;
  wanted.model = model;
  wanted.folder = options.stock_folder;
  wanted.count = count;
  wanted.connection = service_options(std::move(options));
  state_.reset(new State{{std::move(wanted), key.parts().owner}});
}
StockKeeper::~StockKeeper() = default;
StockKeeper::StockKeeper(StockKeeper&&) noexcept = default;
StockKeeper& StockKeeper::operator=(StockKeeper&&) noexcept = default;

std::size_t StockKeeper::ready() const {
  return state_->keeper.count().ready;
}

std::string StockKeeper::problem() const {
  return state_->keeper.problem();
}

}  // namespace popcorn::client
