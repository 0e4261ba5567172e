from harness.mail import Mails, Route
from workloads import workload

TITLE = "Slow receivers"
HOW = "The receiver answers each final dot after 1 s, so S sessions are S messages/s at most. By number of sessions; {slow_mails} mails a session, {slow_mails_fast} of Sluice's."
ALONG = "sessions"
ROUNDS_MOST = 1


def cases(bench, driver):
    return list(bench.sizes.slow_sessions)


def measure(bench, driver, sessions):
    if sessions > driver.sessions_most:
        return {"sessions": sessions, "messages": 0, "remark": f"not tried: {driver.sessions_why}"}
    count = sessions * bench.count(driver, bench.sizes.slow_mails, bench.sizes.slow_mails_fast)
    return workload.drain(bench, driver, count, Route(sessions), Mails(count), delay="1s") | {"sessions": sessions}
