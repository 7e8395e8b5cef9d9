import { Group, Title } from "@mantine/core"
import type { ReactNode } from "react"
import classes from "./Page.module.css"

interface Props {
  title: string
  actions?: ReactNode
  children: ReactNode
}

/** A page that scrolls as a whole, under its title. */
export function Page({ title, actions, children }: Props) {
  return (
    <div className={classes.page}>
      <Group justify="space-between">
        <Title order={1} size="h3" className={classes.title ?? ""}>
          {title}
        </Title>
        {actions}
      </Group>
      {children}
    </div>
  )
}
