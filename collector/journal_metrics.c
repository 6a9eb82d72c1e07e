#include "collector/journal_metrics.h"

#include "common/base/cleanup.h"

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

static const struct {
    enum metrics_kind kind;
    const char       *name, *help;
    double (*read)(void *journal);
} figures[] = {
    {METRICS_GAUGE, "tracehop_collector_journal_disk_bytes", "What the journal takes of the disk.",
     disk_bytes},
    {METRICS_GAUGE, "tracehop_collector_journal_waiting_bytes",
     "What waits to be written and acknowledged.", waiting_bytes},
    {METRICS_GAUGE, "tracehop_collector_journal_in_trouble",
     "1 while the disk is full or fails, and requests are refused.", is_in_trouble},
    {METRICS_COUNTER, "tracehop_collector_journal_groups",
     "Groups of requests that were written together.", groups},
    {METRICS_COUNTER, "tracehop_collector_journal_syncs", "How often the disk was waited for.",
     syncs},
    {METRICS_COUNTER, "tracehop_collector_journal_failed_writes",
     "Writes and syncs that failed; what was in them was refused.", failed_writes},
    {METRICS_COUNTER, "tracehop_collector_journal_skipped_bytes",
     "Damaged bytes that reading has passed over since start.", skipped_bytes},
};

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
    for (size_t i = 0; i < ARRAY_LENGTH(figures); i++)
        metrics_computed(metrics, figures[i].kind, figures[i].name, figures[i].help,
                         figures[i].read, journal);
    count_repairs(recovery, metrics);
}
