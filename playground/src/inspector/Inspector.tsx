import { Select, Tabs, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { useFormat } from "../app/format"
import type { Assistant } from "../assistants/draft"
import type { Thread } from "../threads/objects"
import type { Snapshot } from "../threads/session"
import { EventsTab } from "./EventsTab"
import classes from "./Inspector.module.css"
import { ProgramTab } from "./ProgramTab"
import { RequestsTab } from "./RequestsTab"
import { StepsTab } from "./StepsTab"

export interface InspectorProps {
  thread: Thread
  snapshot: Snapshot
  /** Who answers next. */
  assistant: Assistant | null
  /** The run that was chosen; else the last one is shown. */
  chosen: string | null
  onChoose: (run: string | null) => void
}

/** What happened at the server for what the conversation shows. */
export default function Inspector({ thread, snapshot, assistant, chosen, onChoose }: InspectorProps) {
  const { t } = useTranslation("inspector")
  const format = useFormat()
  const { runs } = snapshot.transcript
  const run = runs.find(({ id }) => id === chosen) ?? runs.at(-1)
  const arrivals = (run && snapshot.arrivals.get(run.id)) ?? []
  const isLast = run === runs.at(-1)
  const nameOf = (place: number, created: number) =>
    t("run.name", { number: place + 1, moment: format.moment(created) })

  return (
    <Tabs defaultValue="steps" keepMounted={false} className={classes.inspector ?? ""}>
      <Tabs.List className={classes.tabs ?? ""} aria-label={t("tabs.label")}>
        <Tabs.Tab value="steps">{t("tabs.steps")}</Tabs.Tab>
        <Tabs.Tab value="events">{t("tabs.events")}</Tabs.Tab>
        <Tabs.Tab value="requests">{t("tabs.requests")}</Tabs.Tab>
        <Tabs.Tab value="program">{t("tabs.program")}</Tabs.Tab>
      </Tabs.List>
      {runs.length > 1 && run && (
        <Select
          className={classes.choice ?? ""}
          size="xs"
          aria-label={t("run.choose")}
          data={runs
            .map(({ id, created_at }, place) => ({ value: id, label: nameOf(place, created_at) }))
            .toReversed()}
          value={run.id}
          // Whoever chooses the last one wants to see the next, too, when it comes.
          onChange={(id) => onChoose(id === runs.at(-1)?.id ? null : id)}
          allowDeselect={false}
        />
      )}
      <div className={classes.body}>
        {run ? (
          <>
            <Tabs.Panel value="steps">
              <StepsTab run={run} steps={snapshot.transcript.steps} arrivals={arrivals} />
            </Tabs.Panel>
            <Tabs.Panel value="events">
              <EventsTab key={run.id} arrivals={arrivals} isLast={isLast} />
            </Tabs.Panel>
            <Tabs.Panel value="requests">
              <RequestsTab run={run} />
            </Tabs.Panel>
          </>
        ) : (
          <Tabs.Panel value="steps">
            <Text size="sm" c="dimmed">
              {t("run.none")}
            </Text>
          </Tabs.Panel>
        )}
        <Tabs.Panel value="program">
          <ProgramTab thread={thread} transcript={snapshot.transcript} run={run} assistant={assistant} />
        </Tabs.Panel>
      </div>
    </Tabs>
  )
}
