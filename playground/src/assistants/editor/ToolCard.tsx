import { Collapse, Group, Paper, Stack, Switch, Text } from "@mantine/core"
import type { Icon } from "@tabler/icons-react"
import type { ReactNode } from "react"
import classes from "./ToolCard.module.css"

interface Props {
  icon: Icon
  name: string
  text: string
  isOn: boolean
  onToggle: (isOn: boolean) => void
  children: ReactNode
}

/** A tool of the server's own: switched on or off, with its settings below while it is on. */
export function ToolCard({ icon: Picture, name, text, isOn, onToggle, children }: Props) {
  return (
    <Paper withBorder radius="md" className={classes.card}>
      <Group justify="space-between" wrap="nowrap" align="flex-start" p="md">
        <Group gap="sm" wrap="nowrap" align="flex-start">
          <Picture size={20} stroke={1.6} className={classes.icon} aria-hidden />
          <div>
            <Text fw={550} size="sm">
              {name}
            </Text>
            <Text size="sm" c="dimmed">
              {text}
            </Text>
          </div>
        </Group>
        <Switch
          checked={isOn}
          onChange={(event) => onToggle(event.currentTarget.checked)}
          aria-label={name}
        />
      </Group>
      <Collapse expanded={isOn} transitionDuration={120}>
        <Stack className={classes.settings}>{children}</Stack>
      </Collapse>
    </Paper>
  )
}
