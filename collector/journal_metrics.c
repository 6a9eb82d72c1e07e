#include "collector/journal_metrics.h"

static double disk_bytes(void *context)
{
    return (double)journal_disk_bytes(context);
}

static double waiting_bytes(void *context)
{
    return (double)journal_figures(context).waiting_bytes;
}

static double groups(void *context)
{
    return (double)journal_figures(context).groups;
}

static double syncs(void *context)
{
    return (double)journal_figures(context).syncs;
}

static double failed_writes(void *context)
{
    return (double)journal_figures(context).failed_writes;
}

static double skipped_bytes(void *context)
{
    return (double)journal_figures(context).skipped_bytes;
}

static double is_in_trouble(void *context)
{
    return journal_figures(context).trouble < 0 ? 1 : 0;
}

static void count_repairs(const struct journal_recovery *recovery, struct metrics *metrics)
{
    struct metrics_family *repaired =
        metrics_family(metrics, METRICS_COUNTER, "tracehop_collector_journal_recovered_bytes",
                       "What opening the journal found: bytes that can be read, a torn tail that "
                       "was cut off, damage in the middle that was skipped.",
                       (const char *const[]){"what", NULL});

    metrics_add(metrics_series(repaired, &STR("readable")), recovery->n_bytes);
    metrics_add(metrics_series(repaired, &STR("cut")), recovery->cut_bytes);
    metrics_add(metrics_series(repaired, &STR("skipped")), recovery->skipped_bytes);
}

void journal_metrics_init(struct journal *journal, const struct journal_recovery *recovery,
                          struct metrics *metrics)
{
    metrics_computed(metrics, METRICS_GAUGE, "tracehop_collector_journal_disk_bytes",
                     "What the journal takes of the disk.", disk_bytes, journal);
    metrics_computed(metrics, METRICS_GAUGE, "tracehop_collector_journal_waiting_bytes",
                     "What waits to be written and acknowledged.", waiting_bytes, journal);
    metrics_computed(metrics, METRICS_GAUGE, "tracehop_collector_journal_in_trouble",
                     "1 while the disk is full or fails, and requests are refused.", is_in_trouble,
                     journal);
    metrics_computed(metrics, METRICS_COUNTER, "tracehop_collector_journal_groups",
                     "Groups of requests that were written together.", groups, journal);
    metrics_computed(metrics, METRICS_COUNTER, "tracehop_collector_journal_syncs",
                     "How often the disk was waited for.", syncs, journal);
    metrics_computed(metrics, METRICS_COUNTER, "tracehop_collector_journal_failed_writes",
                     "Writes and syncs that failed; what was in them was refused.", failed_writes,
                     journal);
    metrics_computed(metrics, METRICS_COUNTER, "tracehop_collector_journal_skipped_bytes",
                     "Damaged bytes that reading has passed over since start.", skipped_bytes,
                     journal);
    count_repairs(recovery, metrics);
}
