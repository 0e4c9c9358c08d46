// SPDX-License-Identifier: Apache-2.0
// Beside step 6: a second attempt while the first is slow to answer, where the cluster has
// `retry.hedge`. The first response head wins.
#include <algorithm>

#include "base/counters.h"
#include "proxy/exchange.h"

namespace tidegate::proxy {

using State = Hedge::State;

/// From the attempt's start, or from the request's end if that is later.
void Exchange::arm_hedge() {
  if (hedge_ == nullptr) {
    if (!http::is_idempotent(request_.method) || !request_.upgrade.empty()) return;
    hedge_ =
        arena_.make<Hedge>([](void* self) { static_cast<Exchange*>(self)->on_hedge_due(); }, this);
  }
  if (hedge_->state != State::Armed) return;
  context_.loop.timers().arm(hedge_->timer, cluster_->retry.settings().hedge.delay);
}

/// The request is all here, to be sent once more, and an attempt is slow to answer it.
bool Exchange::may_hedge() const {
  if (stage_ != Stage::Attempting || !attempt_->active() || waiting_ != nullptr) return false;
  if (!request_complete_ || request_broken_ || downstream_ == nullptr) return false;
  if (request_.body == http::BodyKind::None) return true;
  return !body_lost_ && body_.size() <= replay_limit();
}

void Exchange::on_hedge_due() {
  if (!may_hedge() || !enter_hedge()) return;
  hedge_->state = State::Choosing;
  select_endpoint();
}

/// A place among the cluster's requests and one in its retry budget, if somebody else could answer.
bool Exchange::enter_hedge() {
  const TimePoint now = context_.loop.now();
  const bool another =
      std::ranges::any_of(cluster_->cluster.members(), [&](const upstream::Member& member) {
        return member.endpoint != attempt_->endpoint() && member.endpoint->available(now);
      });
  if (!another) return false;
  upstream::ClusterLoad& load = *cluster_->load;
  const auto places = load.enter(cluster_->cluster.config().limits);
  if (!places) return false;
  hedge_->places = *places;
  const bool had_place = has_retry_place_;
  if (!enter_retry_budget()) {
    hedge_->leave_place();
    return false;
  }
  hedge_->took_place = has_retry_place_ && !had_place;
  return true;
}

/// Then it is given back: two requests for the same are no help to each other.
bool Exchange::takes_same_endpoint(upstream::Cluster::Admission& admission) const {
  const upstream::Member* member = admission.member;
  if (member == nullptr || member->endpoint != attempt_->endpoint()) return false;
  member->endpoint->breaker.cancel(admission.ticket);
  admission.member = nullptr;
  return true;
}

/// After select_backend. If the first attempt has failed meanwhile, this one is all there is.
void Exchange::begin_hedge(upstream::Cluster::Admission admission) {
  const bool alone = !attempt_->active();
  if (!alone && takes_same_endpoint(admission) && chosen_ == nullptr) {
    // All have been tried: any but the one that is being tried.
    upstream::PickContext context = pick_context();
    const upstream::Endpoint* const busy = attempt_->endpoint();
    context.tried = {&busy, 1};
    admission = cluster_->cluster.admit(nullptr, context);
    takes_same_endpoint(admission);
  }
  const upstream::Member* member = admission.member;
  if (member == nullptr) {
    drop_hedge();
    if (alone) fail_without_endpoint(), start_failure();
    return;
  }
  hedge_->state = alone ? State::Alone : State::Racing;
  hedge_->attempt = arena_.make<Attempt>(static_cast<AttemptOwner&>(*this));
  if (alone) attempt_ = hedge_->attempt;
  cluster_->metrics.hedge();
  note_attempt(*member->endpoint);
  if (alone) arm(TimerKind::Response);
  hedge_->attempt->begin(cluster_->cluster, admission,
                         {free_retry_used_, false, false, false, client_line()});
}

/// One of two attempts has come to nothing: the exchange goes on with the other, which is under way
/// or about to be. False: there is no other.
bool Exchange::goes_on_without(Attempt& over, const upstream::Outcome& why) {
  if (hedge_ == nullptr) return false;
  if (hedge_->state != State::Racing && hedge_->state != State::Choosing) return false;
  last_failure_ = why;
  over.cancel();
  if (hedge_->state == State::Choosing) {
    try_timer_.disarm();
    return true;
  }
  hedge_->leave_place();
  if (&over == hedge_->attempt) {
    hedge_->state = State::Lost;
    return true;
  }
  attempt_ = hedge_->attempt;
  hedge_->state = State::Alone;
  const Duration one = cluster_->retry.settings().per_try_timeout;
  if (one > Duration::zero()) {
    const Duration left = attempt_->started() + one - context_.loop.now();
    context_.loop.timers().arm(try_timer_, std::max(left, Duration(1)));
  }
  return true;
}

/// `winner` has a response head that goes on to the client.
void Exchange::decide_race(Attempt& winner) {
  if (hedge_->state == State::Choosing) {
    cancel_wait();
    return drop_hedge();
  }
  hedge_->timer.disarm();
  hedge_->leave_place();
  if (hedge_->state != State::Racing && hedge_->state != State::Alone) return;
  if (hedge_->state == State::Racing) {
    Attempt& loser = &winner == attempt_ ? *hedge_->attempt : *attempt_;
    const TimePoint now = context_.loop.now();
    // It would have taken longer still, and balancers that go by latency must hear of it.
    if (&loser == attempt_) {
      cluster_->cluster.note_latency(*loser.endpoint(), now - loser.started(), now);
    }
    loser.cancel();
  }
  attempt_ = &winner;
  const bool won = &winner == hedge_->attempt;
  hedge_->state = won ? State::Won : State::Lost;
  if (won) cluster_->metrics.hedge_won();
}

/// select_backend failed for the hedge: the first attempt is as good as before.
bool Exchange::hedge_choice_failed() {
  const bool choosing = hedge_ != nullptr && hedge_->state == State::Choosing;
  if (hook_ != Hook::SelectBackend || !choosing || !attempt_->active()) return false;
  failure_ = {};
  drop_hedge();
  return true;
}

void Exchange::drop_hedge() {
  hedge_->timer.disarm();
  hedge_->leave_place();
  if (hedge_->state == State::Armed || hedge_->state == State::Won) return;
  if (hedge_->state == State::Choosing) {
    cluster_->load->retries.give_back(context_.loop.now());
    if (hedge_->took_place) give_back_retry_place();
  }
  if (hedge_->state == State::Racing) hedge_->attempt->cancel();
  hedge_->state = State::Lost;
}

/// For the access log.
std::string_view Exchange::hedge_result() const {
  if (hedge_ == nullptr || hedge_->attempt == nullptr) return {};
  return hedge_->state == State::Won ? "won" : "lost";
}

}  // namespace tidegate::proxy
