import { Stack, Text } from "@mantine/core"
import { useMemo } from "react"
import { useTranslation } from "react-i18next"
import type { Arrival } from "../threads/session"
import classes from "./EventsTab.module.css"
import { JsonDetails } from "./JsonDetails"
import { type EventGroup, grouped } from "./timeline"

/** A run's stream as it comes: every event, with the time since the first. */
export function EventsTab({ arrivals, isLast }: { arrivals: readonly Arrival[]; isLast: boolean }) {
  const { t } = useTranslation("inspector")
  const groups = useMemo(() => grouped(arrivals), [arrivals])
  const first = arrivals[0]?.at ?? 0
  if (groups.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t(isLast ? "events.none" : "events.noneOfOld")}
      </Text>
    )
  }
  return (
    <Stack gap={2} component="ol" className={classes.events ?? ""}>
      {groups.map((group, place) => (
        <li key={place}>
          <Event group={group} since={group.arrivals[0].at - first} />
        </li>
      ))}
    </Stack>
  )
}

function Event({ group, since }: { group: EventGroup; since: number }) {
  const { name, arrivals } = group
  const data = arrivals.map(({ event }) => event.data)
  return (
    <JsonDetails
      title={
        <span className={classes.event}>
          <span className={classes.name}>{name}</span>
          {arrivals.length > 1 && <span className={classes.count}>×{arrivals.length}</span>}
          <span className={classes.time}>+{(since / 1000).toFixed(2)}</span>
        </span>
      }
      value={data.length === 1 ? data[0] : data}
    />
  )
}
