import { Stack, Text, Title } from "@mantine/core"
import { type ReactNode, useId } from "react"

interface Props {
  title: string
  text?: string
  children: ReactNode
}

/** A part of the editor, with a heading that screen readers can jump to. */
export function Section({ title, text, children }: Props) {
  const id = useId()
  return (
    <Stack component="section" gap="sm" aria-labelledby={id}>
      <div>
        <Title order={2} size="h5" id={id}>
          {title}
        </Title>
        {text && (
          <Text size="sm" c="dimmed">
            {text}
          </Text>
        )}
      </div>
      {children}
    </Stack>
  )
}
